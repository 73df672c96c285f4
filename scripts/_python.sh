# shellcheck shell=sh
# Functions that find Pythons, for the scripts beside this file, which source it.

# python_folders: print the folders that may have an interpreter: PATH, then pyenv's versions, since its shims may fail.
python_folders() {
    printf '%s\n' "$PATH" | tr ':' '\n'
    if command -v pyenv >/dev/null 2>&1; then
        printf '%s\n' "$(pyenv root)"/versions/*/bin
    fi
}

# find_python X.Y [MODULE...]: print the path of a CPython X.Y that can import the modules given.
find_python() {
    _version=$1
    shift
    python_folders | while IFS= read -r _folder; do
        for _name in "python$_version" python3 python; do
            [ -x "$_folder/$_name" ] || continue
            # A shim may exist and fail; a Debian python3 may come without venv.
            "$_folder/$_name" - "$_version" "$@" 2>/dev/null <<'PYTHON' && break 2
import importlib, sys
if sys.implementation.name != "cpython" or sys.argv[1] != "%d.%d" % sys.version_info[:2]:
    sys.exit(1)
for module in sys.argv[2:]:
    importlib.import_module(module)
print(sys.executable)
PYTHON
        done
    done | grep . || return 1
}
