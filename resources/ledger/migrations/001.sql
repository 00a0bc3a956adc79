-- The tables that the ledger began with. Rows are written once: a trigger refuses every change, but for `current` and an
-- alias move's `done_at`. Running it again changes nothing: homes from before migrations were counted have all of it.

CREATE TABLE IF NOT EXISTS data_version (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    version text NOT NULL,
    tag text NOT NULL,
    commit text NOT NULL,
    digest text NOT NULL,
    source text NOT NULL,
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (name, version)
);

CREATE TABLE IF NOT EXISTS data_file (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    data_version bigint NOT NULL REFERENCES data_version,
    path text NOT NULL,
    split text,
    sha256 text NOT NULL,
    md5 text NOT NULL,
    size bigint NOT NULL,
    UNIQUE (data_version, path)
);
CREATE INDEX IF NOT EXISTS data_file_sha256 ON data_file (sha256 text_pattern_ops);
CREATE INDEX IF NOT EXISTS data_file_md5 ON data_file (md5 text_pattern_ops);

CREATE TABLE IF NOT EXISTS candidate (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    thing text NOT NULL,
    kind text NOT NULL,
    number integer NOT NULL,
    digest text NOT NULL,
    run_id text NOT NULL,
    artifacts_uri text NOT NULL,
    model_uri text NOT NULL,
    data_name text NOT NULL,
    data_version text NOT NULL,
    data_digest text NOT NULL,
    code_version text NOT NULL,
    git_commit text NOT NULL,
    git_dirty boolean NOT NULL,
    dagster_run text NOT NULL,
    parameters jsonb NOT NULL,
    signature text NOT NULL,
    metrics jsonb NOT NULL,
    parity jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (thing, number)
);
ALTER TABLE candidate ADD COLUMN IF NOT EXISTS tier text NOT NULL DEFAULT '';
ALTER TABLE candidate ADD COLUMN IF NOT EXISTS seconds double precision;
ALTER TABLE candidate ADD COLUMN IF NOT EXISTS variant text NOT NULL DEFAULT '';
ALTER TABLE candidate ADD COLUMN IF NOT EXISTS parts jsonb NOT NULL DEFAULT '{}';
CREATE INDEX IF NOT EXISTS candidate_data ON candidate (data_name, data_version);
CREATE INDEX IF NOT EXISTS candidate_thing ON candidate (thing, id);
CREATE INDEX IF NOT EXISTS candidate_digest ON candidate (digest);

-- The releases that a candidate is put together of.
CREATE OR REPLACE FUNCTION releases_of(parts jsonb) RETURNS bigint[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    'SELECT array_agg(value::bigint) FROM jsonb_each_text(parts)';
CREATE INDEX IF NOT EXISTS candidate_parts ON candidate USING gin (releases_of(parts));

CREATE TABLE IF NOT EXISTS report (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    candidate bigint NOT NULL REFERENCES candidate,
    verdict text NOT NULL CHECK (verdict IN ('pass', 'refuse', 'inconclusive')),
    content jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS report_candidate ON report (candidate, id);

CREATE TABLE IF NOT EXISTS decision (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    thing text NOT NULL,
    candidate bigint NOT NULL REFERENCES candidate,
    report bigint REFERENCES report,
    action text NOT NULL,
    actor text NOT NULL,
    why text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS decision_candidate ON decision (candidate, id);
CREATE INDEX IF NOT EXISTS decision_thing ON decision (thing);

CREATE TABLE IF NOT EXISTS release (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    thing text NOT NULL,
    version text NOT NULL,
    candidate bigint NOT NULL REFERENCES candidate,
    decision bigint NOT NULL REFERENCES decision,
    previous bigint REFERENCES release,
    changes jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS release_candidate ON release (candidate);
CREATE INDEX IF NOT EXISTS release_thing ON release (thing, id);

CREATE TABLE IF NOT EXISTS current (
    thing text PRIMARY KEY,
    release bigint NOT NULL REFERENCES release,
    previous bigint REFERENCES release
);

CREATE TABLE IF NOT EXISTS alias_move (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    thing text NOT NULL,
    alias text NOT NULL,
    number integer,
    created_at timestamptz NOT NULL DEFAULT now(),
    done_at timestamptz
);
CREATE INDEX IF NOT EXISTS alias_move_pending ON alias_move (thing, id) WHERE done_at IS NULL;

CREATE TABLE IF NOT EXISTS alert (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    thing text NOT NULL,
    kind text NOT NULL,
    text text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS alert_time ON alert (created_at);
CREATE INDEX IF NOT EXISTS alert_thing ON alert (thing, kind, id);

CREATE TABLE IF NOT EXISTS batch (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    thing text NOT NULL,
    release bigint NOT NULL REFERENCES release,
    candidate bigint NOT NULL REFERENCES candidate,
    data_name text NOT NULL,
    data_version text NOT NULL,
    data_digest text NOT NULL,
    uri text NOT NULL,
    digest text NOT NULL,
    rows bigint NOT NULL,
    tier text NOT NULL,
    seconds double precision NOT NULL,
    dagster_run text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (uri, digest, release)
);
CREATE INDEX IF NOT EXISTS batch_data ON batch (data_name, data_version);
CREATE INDEX IF NOT EXISTS batch_candidate ON batch (candidate);

-- A data version with its files.
CREATE OR REPLACE VIEW data_page AS
    SELECT v.*, (SELECT coalesce(json_agg(json_build_object(
        'path', f.path, 'split', f.split, 'sha256', f.sha256, 'md5', f.md5, 'size', f.size) ORDER BY f.id), '[]')
        FROM data_file f WHERE f.data_version = v.id) AS files
    FROM data_version v;

-- A release with what it released, and who decided so.
CREATE OR REPLACE VIEW released AS
    SELECT r.id, r.thing, r.version, r.candidate, c.number, c.digest, r.decision, d.action, d.actor, d.why, r.previous,
           r.changes, r.created_at
    FROM release r JOIN candidate c ON c.id = r.candidate JOIN decision d ON d.id = r.decision;

CREATE OR REPLACE VIEW live AS
    SELECT released.* FROM released JOIN current ON current.release = released.id;

CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: % of % is refused', TG_OP, TG_TABLE_NAME;
END $$;

CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE ON data_version FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE ON data_file FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE ON candidate FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE ON report FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE ON decision FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE ON release FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE ON batch FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE ON alert FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER no_delete BEFORE DELETE ON alias_move FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER only_done BEFORE UPDATE ON alias_move FOR EACH ROW
    WHEN (old.done_at IS NOT NULL OR (old.id, old.thing, old.alias, old.number, old.created_at)
          IS DISTINCT FROM (new.id, new.thing, new.alias, new.number, new.created_at))
    EXECUTE FUNCTION refuse_change();
