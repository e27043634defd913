"""Archive: volumes, the ledger of discs, what comes back from them."""
