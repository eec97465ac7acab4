-- What the tables do by themselves: wake-ups, and schedules that count from now.

CREATE FUNCTION job_channel() RETURNS text LANGUAGE sql STABLE
RETURN 'scheduler_' || (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = 'job_executions'::regclass);
COMMENT ON FUNCTION job_channel() IS 'Used inside others: the NOTIFY channel of this schema. Payloads are empty, for a wake-up is only a hint to look.';

CREATE FUNCTION job_executions_wake() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT FROM job_workers WHERE wake_until > job_now()) THEN
        PERFORM pg_notify(job_channel(), '');
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION job_executions_wake() IS 'Trigger: notifies of new executions, only while some worker sleeps, for NOTIFY makes concurrent commits wait for each other.';
CREATE TRIGGER job_executions_wake AFTER INSERT ON job_executions FOR EACH STATEMENT EXECUTE FUNCTION job_executions_wake();

CREATE FUNCTION job_executions_done() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_notify('job_done_' || TG_TABLE_SCHEMA, NEW.id::text);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION job_executions_done() IS 'Trigger: notifies job_done_SCHEMA of the end of an execution that somebody waits for (notify_done), its id as the payload.';
CREATE TRIGGER job_executions_done AFTER UPDATE OF status ON job_executions FOR EACH ROW
    WHEN (NEW.notify_done AND NEW.finished_at IS NOT NULL AND OLD.finished_at IS NULL) EXECUTE FUNCTION job_executions_done();

-- It runs with its owner's rights: whoever may edit a cron job may end its skip, and needs no others for that.
CREATE FUNCTION cron_jobs_edited() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    since timestamptz;
    ended timestamptz;
    because text;
BEGIN
    -- A pause that is over ends with the next write, which the planner sees to. An edit of the schedule is told apart: it counts from now.
    IF TG_OP = 'UPDATE' AND NOT OLD.enabled AND NEW.resume_at <= job_now()
       AND (NEW.cron_expression, NEW.timezone, NEW.starts_at, NEW.ends_at) IS NOT DISTINCT FROM (OLD.cron_expression, OLD.timezone, OLD.starts_at, OLD.ends_at) THEN
        NEW.enabled := true;
    END IF;
    IF TG_OP = 'INSERT' THEN
        NEW.next_run_at := NULL;
        NEW.planned_until := job_now();
        NEW.invalid_reason := NULL;
        NEW.updated_at := NEW.created_at;  -- the two defaults are a microsecond apart now and then
    ELSIF (NEW.cron_expression, NEW.timezone, NEW.starts_at, NEW.ends_at, NEW.enabled)
          IS DISTINCT FROM (OLD.cron_expression, OLD.timezone, OLD.starts_at, OLD.ends_at, OLD.enabled) THEN
        ended := job_now();
        IF NEW.enabled AND NOT OLD.enabled THEN
            IF NEW.resume_at <= ended THEN  -- however late somebody says so: a tick at resume_at is no part of the pause
                ended := greatest(least(OLD.planned_until, ended), greatest(NEW.resume_at, to_timestamp(0)) - interval '1 us');
            END IF;
            NEW.paused_reason := NULL;
            NEW.resume_at := NULL;
        END IF;
        IF OLD.planned_until > job_now() THEN
            -- A skip ends with it. What of it is past has to be counted anew, by the schedule of then, and that is the planner's.
            because := 'skip';
            WITH ended AS (
                DELETE FROM job_executions e
                WHERE e.cron_job_id = OLD.id AND e.status = 'SKIPPED' AND e.source = 'manual' AND e.skipped_until > job_now() RETURNING e.scheduled_at
            ) SELECT min(scheduled_at) - interval '1 us' INTO since FROM ended;
        ELSIF OLD.invalid_reason IS NULL THEN
            because := CASE WHEN NOT OLD.enabled THEN 'paused' WHEN NOT NEW.enabled THEN 'pause' ELSE 'edit' END;
            since := OLD.planned_until;
        END IF;
        IF since < ended THEN
            -- A hundred are enough for a row that nobody plans; whoever reads them reckons with any text in them.
            NEW.unplanned := CASE WHEN jsonb_array_length(OLD.unplanned) >= 100 THEN OLD.unplanned - 0 ELSE coalesce(OLD.unplanned, '[]') END
                || jsonb_build_object('since', since, 'until', ended, 'because', because, 'reason', left(OLD.paused_reason, 200),
                                      'cron_expression', left(OLD.cron_expression, 201), 'timezone', left(OLD.timezone, 100),
                                      'starts_at', OLD.starts_at, 'ends_at', OLD.ends_at);
        END IF;
        NEW.next_run_at := NULL;
        -- Ahead without a skip, the clock went back: what was planned by it has its rows, before and after a pause. A day is the planner's bound.
        IF since IS NOT NULL OR OLD.planned_until NOT BETWEEN job_now() AND job_now() + interval '1 day'
           OR (NEW.cron_expression, NEW.timezone, NEW.starts_at, NEW.ends_at)
              IS DISTINCT FROM (OLD.cron_expression, OLD.timezone, OLD.starts_at, OLD.ends_at) THEN
            NEW.planned_until := ended;
        END IF;
        NEW.invalid_reason := NULL;
        NEW.updated_at := job_now();
    ELSIF (NEW.planned_until, NEW.invalid_reason, NEW.tzdata_version) IS NOT DISTINCT FROM (OLD.planned_until, OLD.invalid_reason, OLD.tzdata_version) THEN
        -- By hand, for each write of the planner's changes one of these.
        NEW.next_run_at := CASE WHEN NEW.next_run_at IS NOT DISTINCT FROM OLD.next_run_at THEN OLD.next_run_at END;
        NEW.updated_at := job_now();
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION cron_jobs_edited() IS 'Trigger: an edit of the schedule counts from now; what was due before it is not made up for. Keeps updated_at.';
CREATE TRIGGER cron_jobs_edited BEFORE INSERT OR UPDATE ON cron_jobs FOR EACH ROW EXECUTE FUNCTION cron_jobs_edited();

CREATE FUNCTION cron_jobs_wake() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_notify(job_channel(), '');
    RETURN NULL;
END $$;
COMMENT ON FUNCTION cron_jobs_wake() IS 'Trigger: notifies the planners of an edit. Their own updates name none of these columns.';
CREATE TRIGGER cron_jobs_wake AFTER INSERT OR UPDATE OF cron_expression, timezone, starts_at, ends_at, enabled, resume_at ON cron_jobs FOR EACH STATEMENT EXECUTE FUNCTION cron_jobs_wake();
