// Load Mermaid, which is large, from this site, and only for pages that have a diagram. Without this stand-in the
// theme would load it from a third party.
(() => {
  const base = new URL(".", document.currentScript.src);
  let settings = {};
  let loading;

  const load = () =>
    new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = new URL("mermaid.min.js", base);
      script.onload = () => {
        window.mermaid.initialize(settings);
        resolve(window.mermaid);
      };
      script.onerror = reject;
      document.head.append(script);
    });

  window.mermaid = {
    initialize(given) {
      settings = given;
    },
    async render(...args) {
      loading ??= load();
      return (await loading).render(...args);
    },
  };
})();
