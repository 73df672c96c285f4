"""The connection pool: the ledger decides, the engine carries out, the pools are its public faces."""
