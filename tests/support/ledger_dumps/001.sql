-- A ledger as version 0.1 left it: `pg_dump --schema dev_ledger --no-owner --inserts`, without its settings.

CREATE SCHEMA dev_ledger;
CREATE FUNCTION dev_ledger.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: % of % is refused', TG_OP, TG_TABLE_NAME;
END $$;
CREATE FUNCTION dev_ledger.releases_of(parts jsonb) RETURNS bigint[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$SELECT array_agg(value::bigint) FROM jsonb_each_text(parts)$$;
CREATE TABLE dev_ledger.alert (
    id bigint NOT NULL,
    thing text NOT NULL,
    kind text NOT NULL,
    text text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE dev_ledger.alert ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME dev_ledger.alert_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE dev_ledger.alias_move (
    id bigint NOT NULL,
    thing text NOT NULL,
    alias text NOT NULL,
    number integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    done_at timestamp with time zone
);
ALTER TABLE dev_ledger.alias_move ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME dev_ledger.alias_move_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE dev_ledger.batch (
    id bigint NOT NULL,
    thing text NOT NULL,
    release bigint NOT NULL,
    candidate bigint NOT NULL,
    data_name text NOT NULL,
    data_version text NOT NULL,
    data_digest text NOT NULL,
    uri text NOT NULL,
    digest text NOT NULL,
    rows bigint NOT NULL,
    tier text NOT NULL,
    seconds double precision NOT NULL,
    dagster_run text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE dev_ledger.batch ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME dev_ledger.batch_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE dev_ledger.candidate (
    id bigint NOT NULL,
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
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    tier text DEFAULT ''::text NOT NULL,
    seconds double precision,
    variant text DEFAULT ''::text NOT NULL,
    parts jsonb DEFAULT '{}'::jsonb NOT NULL
);
ALTER TABLE dev_ledger.candidate ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME dev_ledger.candidate_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE dev_ledger.current (
    thing text NOT NULL,
    release bigint NOT NULL,
    previous bigint
);
CREATE TABLE dev_ledger.data_file (
    id bigint NOT NULL,
    data_version bigint NOT NULL,
    path text NOT NULL,
    split text,
    sha256 text NOT NULL,
    md5 text NOT NULL,
    size bigint NOT NULL
);
ALTER TABLE dev_ledger.data_file ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME dev_ledger.data_file_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE dev_ledger.data_version (
    id bigint NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    tag text NOT NULL,
    commit text NOT NULL,
    digest text NOT NULL,
    source text NOT NULL,
    metadata jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE VIEW dev_ledger.data_page AS
 SELECT id,
    name,
    version,
    tag,
    commit,
    digest,
    source,
    metadata,
    created_at,
    ( SELECT COALESCE(json_agg(json_build_object('path', f.path, 'split', f.split, 'sha256', f.sha256, 'md5', f.md5, 'size', f.size) ORDER BY f.id), '[]'::json) AS "coalesce"
           FROM dev_ledger.data_file f
          WHERE (f.data_version = v.id)) AS files
   FROM dev_ledger.data_version v;
ALTER TABLE dev_ledger.data_version ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME dev_ledger.data_version_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE dev_ledger.decision (
    id bigint NOT NULL,
    thing text NOT NULL,
    candidate bigint NOT NULL,
    report bigint,
    action text NOT NULL,
    actor text NOT NULL,
    why text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE dev_ledger.decision ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME dev_ledger.decision_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE dev_ledger.release (
    id bigint NOT NULL,
    thing text NOT NULL,
    version text NOT NULL,
    candidate bigint NOT NULL,
    decision bigint NOT NULL,
    previous bigint,
    changes jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE VIEW dev_ledger.released AS
 SELECT r.id,
    r.thing,
    r.version,
    r.candidate,
    c.number,
    c.digest,
    r.decision,
    d.action,
    d.actor,
    d.why,
    r.previous,
    r.changes,
    r.created_at
   FROM ((dev_ledger.release r
     JOIN dev_ledger.candidate c ON ((c.id = r.candidate)))
     JOIN dev_ledger.decision d ON ((d.id = r.decision)));
CREATE VIEW dev_ledger.live AS
 SELECT released.id,
    released.thing,
    released.version,
    released.candidate,
    released.number,
    released.digest,
    released.decision,
    released.action,
    released.actor,
    released.why,
    released.previous,
    released.changes,
    released.created_at
   FROM (dev_ledger.released
     JOIN dev_ledger.current ON ((current.release = released.id)));
ALTER TABLE dev_ledger.release ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME dev_ledger.release_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE dev_ledger.report (
    id bigint NOT NULL,
    candidate bigint NOT NULL,
    verdict text NOT NULL,
    content jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT report_verdict_check CHECK ((verdict = ANY (ARRAY['pass'::text, 'refuse'::text, 'inconclusive'::text])))
);
ALTER TABLE dev_ledger.report ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME dev_ledger.report_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
INSERT INTO dev_ledger.alert OVERRIDING SYSTEM VALUE VALUES (1, 'wine', 'version-gone', '@previous cannot be set: MLflow has no version 2 any more', '2026-11-27 01:32:31.407706+00');
INSERT INTO dev_ledger.alert OVERRIDING SYSTEM VALUE VALUES (2, 'postgres', 'restart', 'PostgreSQL, started again: it does not run', '2026-11-27 01:32:31.412678+00');
INSERT INTO dev_ledger.alias_move OVERRIDING SYSTEM VALUE VALUES (1, 'wine', 'candidate', 1, '2026-11-27 01:32:31.356674+00', NULL);
INSERT INTO dev_ledger.alias_move OVERRIDING SYSTEM VALUE VALUES (2, 'wine', 'previous', NULL, '2026-11-27 01:32:31.373872+00', NULL);
INSERT INTO dev_ledger.alias_move OVERRIDING SYSTEM VALUE VALUES (3, 'wine', 'champion', 1, '2026-11-27 01:32:31.373872+00', NULL);
INSERT INTO dev_ledger.alias_move OVERRIDING SYSTEM VALUE VALUES (4, 'wine', 'candidate', 2, '2026-11-27 01:32:31.383944+00', NULL);
INSERT INTO dev_ledger.alias_move OVERRIDING SYSTEM VALUE VALUES (5, 'wine', 'previous', 1, '2026-11-27 01:32:31.388585+00', NULL);
INSERT INTO dev_ledger.alias_move OVERRIDING SYSTEM VALUE VALUES (6, 'wine', 'champion', 2, '2026-11-27 01:32:31.388585+00', NULL);
INSERT INTO dev_ledger.alias_move OVERRIDING SYSTEM VALUE VALUES (7, 'wine', 'previous', 2, '2026-11-27 01:32:31.399465+00', NULL);
INSERT INTO dev_ledger.alias_move OVERRIDING SYSTEM VALUE VALUES (8, 'wine', 'champion', 1, '2026-11-27 01:32:31.399465+00', NULL);
INSERT INTO dev_ledger.candidate OVERRIDING SYSTEM VALUE VALUES (1, 'wine', 'model', 1, 'm1', '', '', '', 'wine', '1.0.0', 'd1', '', '', false, '', '{"trees": 1}', '', '{"test_accuracy": 0.9}', NULL, '2026-11-27 01:32:31.356674+00', '', NULL, '', '{}');
INSERT INTO dev_ledger.candidate OVERRIDING SYSTEM VALUE VALUES (2, 'wine', 'model', 2, 'm2', '', '', '', 'wine', '1.0.0', 'd1', '', '', false, '', '{"trees": 2}', '', '{"test_accuracy": 0.9}', NULL, '2026-11-27 01:32:31.383944+00', '', NULL, '', '{}');
INSERT INTO dev_ledger.current VALUES ('wine', 3, 2);
INSERT INTO dev_ledger.data_file OVERRIDING SYSTEM VALUE VALUES (1, 1, 'data/wine/processed/train.parquet', 'train', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 10);
INSERT INTO dev_ledger.data_version OVERRIDING SYSTEM VALUE VALUES (1, 'wine', '1.0.0', 'wine-v1.0.0', 'cccccccccccccccccccccccccccccccccccccccc', 'd1', 'official', '{"splits": {}}', '2026-11-27 01:32:31.350183+00');
INSERT INTO dev_ledger.decision OVERRIDING SYSTEM VALUE VALUES (1, 'wine', 1, NULL, 'release', 'dagster', 'the newest candidate', '2026-11-27 01:32:31.373872+00');
INSERT INTO dev_ledger.decision OVERRIDING SYSTEM VALUE VALUES (2, 'wine', 2, NULL, 'release', 'dagster', 'the newest candidate', '2026-11-27 01:32:31.388585+00');
INSERT INTO dev_ledger.decision OVERRIDING SYSTEM VALUE VALUES (3, 'wine', 1, NULL, 'rollback', 'anna', 'it smells', '2026-11-27 01:32:31.399465+00');
INSERT INTO dev_ledger.release OVERRIDING SYSTEM VALUE VALUES (1, 'wine', '1.0.0', 1, 1, NULL, '["first release"]', '2026-11-27 01:32:31.373872+00');
INSERT INTO dev_ledger.release OVERRIDING SYSTEM VALUE VALUES (2, 'wine', '1.0.1', 2, 2, 1, '["trees 1 -> 2"]', '2026-11-27 01:32:31.388585+00');
INSERT INTO dev_ledger.release OVERRIDING SYSTEM VALUE VALUES (3, 'wine', '1.0.0', 1, 3, 2, '["1.0.0 released again", "trees 2 -> 1"]', '2026-11-27 01:32:31.399465+00');
SELECT pg_catalog.setval('dev_ledger.alert_id_seq', 2, true);
SELECT pg_catalog.setval('dev_ledger.alias_move_id_seq', 8, true);
SELECT pg_catalog.setval('dev_ledger.batch_id_seq', 1, false);
SELECT pg_catalog.setval('dev_ledger.candidate_id_seq', 2, true);
SELECT pg_catalog.setval('dev_ledger.data_file_id_seq', 1, true);
SELECT pg_catalog.setval('dev_ledger.data_version_id_seq', 1, true);
SELECT pg_catalog.setval('dev_ledger.decision_id_seq', 3, true);
SELECT pg_catalog.setval('dev_ledger.release_id_seq', 3, true);
SELECT pg_catalog.setval('dev_ledger.report_id_seq', 1, false);
ALTER TABLE ONLY dev_ledger.alert
    ADD CONSTRAINT alert_pkey PRIMARY KEY (id);
ALTER TABLE ONLY dev_ledger.alias_move
    ADD CONSTRAINT alias_move_pkey PRIMARY KEY (id);
ALTER TABLE ONLY dev_ledger.batch
    ADD CONSTRAINT batch_pkey PRIMARY KEY (id);
ALTER TABLE ONLY dev_ledger.batch
    ADD CONSTRAINT batch_uri_digest_release_key UNIQUE (uri, digest, release);
ALTER TABLE ONLY dev_ledger.candidate
    ADD CONSTRAINT candidate_pkey PRIMARY KEY (id);
ALTER TABLE ONLY dev_ledger.candidate
    ADD CONSTRAINT candidate_thing_number_key UNIQUE (thing, number);
ALTER TABLE ONLY dev_ledger.current
    ADD CONSTRAINT current_pkey PRIMARY KEY (thing);
ALTER TABLE ONLY dev_ledger.data_file
    ADD CONSTRAINT data_file_data_version_path_key UNIQUE (data_version, path);
ALTER TABLE ONLY dev_ledger.data_file
    ADD CONSTRAINT data_file_pkey PRIMARY KEY (id);
ALTER TABLE ONLY dev_ledger.data_version
    ADD CONSTRAINT data_version_name_version_key UNIQUE (name, version);
ALTER TABLE ONLY dev_ledger.data_version
    ADD CONSTRAINT data_version_pkey PRIMARY KEY (id);
ALTER TABLE ONLY dev_ledger.decision
    ADD CONSTRAINT decision_pkey PRIMARY KEY (id);
ALTER TABLE ONLY dev_ledger.release
    ADD CONSTRAINT release_pkey PRIMARY KEY (id);
ALTER TABLE ONLY dev_ledger.report
    ADD CONSTRAINT report_pkey PRIMARY KEY (id);
CREATE INDEX alert_thing ON dev_ledger.alert USING btree (thing, kind, id);
CREATE INDEX alert_time ON dev_ledger.alert USING btree (created_at);
CREATE INDEX alias_move_pending ON dev_ledger.alias_move USING btree (thing, id) WHERE (done_at IS NULL);
CREATE INDEX batch_candidate ON dev_ledger.batch USING btree (candidate);
CREATE INDEX batch_data ON dev_ledger.batch USING btree (data_name, data_version);
CREATE INDEX candidate_data ON dev_ledger.candidate USING btree (data_name, data_version);
CREATE INDEX candidate_digest ON dev_ledger.candidate USING btree (digest);
CREATE INDEX candidate_parts ON dev_ledger.candidate USING gin (dev_ledger.releases_of(parts));
CREATE INDEX candidate_thing ON dev_ledger.candidate USING btree (thing, id);
CREATE INDEX data_file_md5 ON dev_ledger.data_file USING btree (md5 text_pattern_ops);
CREATE INDEX data_file_sha256 ON dev_ledger.data_file USING btree (sha256 text_pattern_ops);
CREATE INDEX decision_candidate ON dev_ledger.decision USING btree (candidate, id);
CREATE INDEX decision_thing ON dev_ledger.decision USING btree (thing);
CREATE INDEX release_candidate ON dev_ledger.release USING btree (candidate);
CREATE INDEX release_thing ON dev_ledger.release USING btree (thing, id);
CREATE INDEX report_candidate ON dev_ledger.report USING btree (candidate, id);
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON dev_ledger.alert FOR EACH ROW EXECUTE FUNCTION dev_ledger.refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON dev_ledger.batch FOR EACH ROW EXECUTE FUNCTION dev_ledger.refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON dev_ledger.candidate FOR EACH ROW EXECUTE FUNCTION dev_ledger.refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON dev_ledger.data_file FOR EACH ROW EXECUTE FUNCTION dev_ledger.refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON dev_ledger.data_version FOR EACH ROW EXECUTE FUNCTION dev_ledger.refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON dev_ledger.decision FOR EACH ROW EXECUTE FUNCTION dev_ledger.refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON dev_ledger.release FOR EACH ROW EXECUTE FUNCTION dev_ledger.refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON dev_ledger.report FOR EACH ROW EXECUTE FUNCTION dev_ledger.refuse_change();
CREATE TRIGGER no_delete BEFORE DELETE ON dev_ledger.alias_move FOR EACH ROW EXECUTE FUNCTION dev_ledger.refuse_change();
CREATE TRIGGER only_done BEFORE UPDATE ON dev_ledger.alias_move FOR EACH ROW WHEN (((old.done_at IS NOT NULL) OR (((((old.id IS DISTINCT FROM new.id) OR (old.thing IS DISTINCT FROM new.thing)) OR (old.alias IS DISTINCT FROM new.alias)) OR (old.number IS DISTINCT FROM new.number)) OR (old.created_at IS DISTINCT FROM new.created_at)))) EXECUTE FUNCTION dev_ledger.refuse_change();
ALTER TABLE ONLY dev_ledger.batch
    ADD CONSTRAINT batch_candidate_fkey FOREIGN KEY (candidate) REFERENCES dev_ledger.candidate(id);
ALTER TABLE ONLY dev_ledger.batch
    ADD CONSTRAINT batch_release_fkey FOREIGN KEY (release) REFERENCES dev_ledger.release(id);
ALTER TABLE ONLY dev_ledger.current
    ADD CONSTRAINT current_previous_fkey FOREIGN KEY (previous) REFERENCES dev_ledger.release(id);
ALTER TABLE ONLY dev_ledger.current
    ADD CONSTRAINT current_release_fkey FOREIGN KEY (release) REFERENCES dev_ledger.release(id);
ALTER TABLE ONLY dev_ledger.data_file
    ADD CONSTRAINT data_file_data_version_fkey FOREIGN KEY (data_version) REFERENCES dev_ledger.data_version(id);
ALTER TABLE ONLY dev_ledger.decision
    ADD CONSTRAINT decision_candidate_fkey FOREIGN KEY (candidate) REFERENCES dev_ledger.candidate(id);
ALTER TABLE ONLY dev_ledger.decision
    ADD CONSTRAINT decision_report_fkey FOREIGN KEY (report) REFERENCES dev_ledger.report(id);
ALTER TABLE ONLY dev_ledger.release
    ADD CONSTRAINT release_candidate_fkey FOREIGN KEY (candidate) REFERENCES dev_ledger.candidate(id);
ALTER TABLE ONLY dev_ledger.release
    ADD CONSTRAINT release_decision_fkey FOREIGN KEY (decision) REFERENCES dev_ledger.decision(id);
ALTER TABLE ONLY dev_ledger.release
    ADD CONSTRAINT release_previous_fkey FOREIGN KEY (previous) REFERENCES dev_ledger.release(id);
ALTER TABLE ONLY dev_ledger.report
    ADD CONSTRAINT report_candidate_fkey FOREIGN KEY (candidate) REFERENCES dev_ledger.candidate(id);
