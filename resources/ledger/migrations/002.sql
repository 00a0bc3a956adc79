-- What is current is the newest release, and not a row that could be changed without one. An alert that stands is
-- counted, and is resolved when its cause is gone. Nothing is emptied.

CREATE OR REPLACE VIEW live AS SELECT DISTINCT ON (thing) * FROM released ORDER BY thing, id DESC;
DROP TABLE current;

DROP TRIGGER append_only ON alert;
ALTER TABLE alert
    ADD COLUMN key text NOT NULL DEFAULT '',
    ADD COLUMN count integer NOT NULL DEFAULT 1,
    ADD COLUMN last_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN resolved_at timestamptz;
UPDATE alert SET last_at = created_at, resolved_at = now();
CREATE UNIQUE INDEX alert_standing ON alert (thing, kind, key) WHERE resolved_at IS NULL;
DROP INDEX alert_thing;
CREATE INDEX alert_thing ON alert (thing);
DROP INDEX alert_time;
CREATE INDEX alert_time ON alert (last_at);
CREATE TRIGGER no_delete BEFORE DELETE ON alert FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER only_counted BEFORE UPDATE ON alert FOR EACH ROW
    WHEN (old.resolved_at IS NOT NULL OR (old.id, old.thing, old.kind, old.key, old.created_at)
          IS DISTINCT FROM (new.id, new.thing, new.kind, new.key, new.created_at))
    EXECUTE FUNCTION refuse_change();

DO $$
DECLARE name text; of_ours record;
BEGIN
    FOREACH name IN ARRAY ARRAY['data_version', 'data_file', 'candidate', 'report', 'decision', 'release', 'alias_move',
                                'alert', 'batch'] LOOP
        EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I EXECUTE FUNCTION refuse_change()', name);
    END LOOP;
    -- Also where a session calls itself a replica, for which PostgreSQL leaves triggers out.
    FOR of_ours IN SELECT relname, tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
                   WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER %I', of_ours.relname, of_ours.tgname);
    END LOOP;
END $$;
