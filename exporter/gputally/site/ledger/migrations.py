"""How the ledger's tables came to be, one script a version; a script that was released never changes.

Money is an exact integer in two columns: `nano` units of the currency (1e-9, rounded down), and `atto`
(1e-18), what is left of them, never negative. So an amount of -0.5 nano is nano -1 and atto 500000000.

A script is split where a line ends in `;`.
"""

_BILLS = """
CREATE TABLE imports (             -- every import that changed the ledger, or would have
    id INTEGER PRIMARY KEY,
    at_ns INTEGER NOT NULL,        -- Unix time
    kind TEXT NOT NULL,            -- focus, plain; others for what is no bill
    file TEXT NOT NULL,            -- without its folder
    sha256 TEXT NOT NULL
) STRICT;
CREATE INDEX imports_by_sha256 ON imports (sha256);

CREATE TABLE import_counts (
    import_id INTEGER NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    provider TEXT NOT NULL,        -- '' where a rejected row has not told
    result TEXT NOT NULL,          -- inserted, updated, unchanged, removed, rejected
    rows INTEGER NOT NULL CHECK (rows >= 0),
    PRIMARY KEY (import_id, provider, result)
) STRICT, WITHOUT ROWID;

CREATE TABLE bills (               -- what is replaced as a whole, or all plain rows of a provider
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('focus', 'plain')),
    provider TEXT NOT NULL,
    account TEXT NOT NULL,
    period_start TEXT NOT NULL,    -- instant in UTC, such as 2026-11-01T00:00:00Z; '' for plain rows
    period_end TEXT NOT NULL,
    basis TEXT NOT NULL CHECK (basis IN ('effective', 'billed', '')),
    last_day TEXT NOT NULL,        -- of all its rows, also of those that are no charges of GPUs
    import_id INTEGER NOT NULL REFERENCES imports (id),
    UNIQUE (kind, provider, account, period_start)
) STRICT;

CREATE TABLE charges (
    bill_id INTEGER NOT NULL REFERENCES bills (id) ON DELETE CASCADE,
    day TEXT NOT NULL,             -- of UTC
    gpu_type TEXT NOT NULL,
    team TEXT NOT NULL,
    category TEXT NOT NULL,        -- usage, purchase, tax, credit, adjustment
    currency TEXT NOT NULL,
    nano INTEGER NOT NULL,
    atto INTEGER NOT NULL CHECK (atto BETWEEN 0 AND 999999999),
    gpu_nanohours INTEGER,         -- NULL: the bill does not tell
    import_id INTEGER NOT NULL REFERENCES imports (id),  -- that changed it last
    told TEXT NOT NULL DEFAULT '', -- of a plain row: GPU and team as the file has them, in small letters
    PRIMARY KEY (bill_id, day, gpu_type, team, category, currency)
) STRICT, WITHOUT ROWID;
CREATE INDEX charges_by_day ON charges (day, gpu_type, team, currency);
CREATE INDEX charges_by_told ON charges (bill_id, day, told) WHERE told <> '';

CREATE TABLE day_sums (            -- what history shows of each day, and how often that has changed
    day TEXT NOT NULL,
    provider TEXT NOT NULL,
    gpu_type TEXT NOT NULL,
    team TEXT NOT NULL,
    currency TEXT NOT NULL,
    nano INTEGER NOT NULL,
    atto INTEGER NOT NULL,
    gpu_nanohours INTEGER,
    revision INTEGER NOT NULL CHECK (revision >= 0),
    PRIMARY KEY (day, provider, gpu_type, team, currency)
) STRICT, WITHOUT ROWID;
"""

_JOBS = """
CREATE TABLE jobs (                -- runs of jobs that ran elsewhere, or of which a scheduler has told
    provider TEXT NOT NULL,        -- of a Slurm job its cluster
    job_id TEXT NOT NULL,
    start_s INTEGER NOT NULL,      -- Unix time, as all below
    end_s INTEGER,                 -- NULL: it ran when it was last heard of
    seen_s INTEGER NOT NULL,       -- when it was last heard of; of one that has ended its end
    status TEXT NOT NULL,
    exit_code INTEGER,
    scheduler TEXT NOT NULL,
    shown_id TEXT NOT NULL,
    user TEXT NOT NULL,
    team TEXT NOT NULL,
    name TEXT NOT NULL,
    model TEXT NOT NULL,
    gpu_type TEXT NOT NULL,
    gpus INTEGER NOT NULL CHECK (gpus > 0),
    until_s INTEGER NOT NULL,      -- until when it surely ran
    PRIMARY KEY (provider, job_id, start_s)
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_by_until ON jobs (until_s);
"""

MIGRATIONS = (_BILLS, _JOBS)
