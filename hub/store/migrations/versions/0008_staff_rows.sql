-- What staff's pages read, they read as tovholder_page too: the rows of whoever looks, by their administration, unit,
-- roles and own row. What waits for them is found by rules of the program; these are the bounds behind them.

-- The open tasks are asked for with every statement, and are few of all there have been.
CREATE INDEX ix_task_open ON task (administration) WHERE done_at is null and entry_id is null;

-- Whose transaction it is, further to 0005: under which key their entries in the log stand, which unit and roles they
-- act in, and the lookup of their own that they came from.

CREATE FUNCTION page_key() RETURNS uuid STABLE LANGUAGE sql
RETURN nullif(current_setting('tovholder.key', true), '')::uuid;

CREATE FUNCTION page_team() RETURNS bytea STABLE LANGUAGE sql
RETURN decode(nullif(current_setting('tovholder.team', true), ''), 'hex');

CREATE FUNCTION page_entry() RETURNS uuid STABLE LANGUAGE sql
RETURN nullif(current_setting('tovholder.entry', true), '')::uuid;

CREATE FUNCTION page_acts_as(role text) RETURNS boolean STABLE LANGUAGE sql
RETURN role = ANY (string_to_array(coalesce(current_setting('tovholder.roles', true), ''), ' '));

CREATE FUNCTION page_coordinating() RETURNS SETOF uuid STABLE SECURITY DEFINER LANGUAGE sql
BEGIN ATOMIC
    -- The viewer as coordinator, and those away whom the viewer speaks for.
    SELECT staff_id FROM coordinator WHERE staff_id = page_staff() OR (away AND substitute_id = page_staff());
END;

CREATE FUNCTION page_work() RETURNS SETOF uuid STABLE SECURITY DEFINER LANGUAGE sql
BEGIN ATOMIC
    -- Open tasks: those of the viewer's administration; and a coordinator's own, nobody's, and those of an administration
    -- that the family has closed for, where the coordinator is theirs or there is none.
    SELECT id FROM task
    WHERE done_at IS NULL AND entry_id IS NULL AND administration = page_administration()
      AND (page_acts_as('staff') OR page_acts_as('coordinator'))
    UNION SELECT id FROM task
    WHERE done_at IS NULL AND entry_id IS NULL AND page_acts_as('coordinator') AND (
        staff_id = ANY (ARRAY(SELECT page_coordinating()))
        OR (staff_id IS NULL AND administration IS NULL)
        OR (EXISTS (SELECT FROM block WHERE child_id = task.child_id AND administration = task.administration
                                        AND lifted_at IS NULL)
            AND NOT EXISTS (SELECT FROM assignment WHERE child_id = task.child_id AND until IS NULL
                                                     AND coordinator_id <> ALL (ARRAY(SELECT page_coordinating())))));
END;

CREATE FUNCTION page_at_hand() RETURNS SETOF uuid STABLE SECURITY DEFINER LANGUAGE sql
BEGIN ATOMIC
    -- The children that a member of staff has something to do with: of their tasks, and of the lookup they came from.
    WITH theirs AS (
        SELECT child_id FROM task WHERE id = ANY (ARRAY(SELECT page_work())) AND child_id IS NOT NULL
        UNION SELECT child_id FROM rights_request
        WHERE task_id = ANY (ARRAY(SELECT page_work())) AND child_id IS NOT NULL
        UNION SELECT child_id FROM log_entry
        WHERE id = page_entry() AND kind = 'lookup' AND asker_key = page_key() AND child_id IS NOT NULL
    )
    SELECT child_id FROM theirs
    UNION SELECT same_as FROM child WHERE id IN (SELECT child_id FROM theirs) AND same_as IS NOT NULL;
END;

CREATE FUNCTION page_named() RETURNS SETOF uuid STABLE SECURITY DEFINER LANGUAGE sql
BEGIN ATOMIC
    -- Those of them whose names they may read: of tasks; of a lookup where the administration has something on the child,
    -- or they are the coordinator. Not where the family has closed for the viewer's administration, save for a
    -- coordinator.
    SELECT id FROM child
    WHERE id = ANY (ARRAY(SELECT page_at_hand()))
      AND (id IN (SELECT child_id FROM task WHERE id = ANY (ARRAY(SELECT page_work())))
           OR id IN (SELECT child_id FROM rights_request WHERE task_id = ANY (ARRAY(SELECT page_work())))
           OR EXISTS (SELECT FROM child old WHERE old.same_as = child.id)
           OR EXISTS (SELECT FROM case_index WHERE child_id = child.id AND is_open AND administration = page_administration())
           OR EXISTS (SELECT FROM presence WHERE token = child.token AND administration = page_administration())
           OR EXISTS (SELECT FROM offer WHERE child_id = child.id
                                          AND coordinator_id = ANY (ARRAY(SELECT page_coordinating()))))
      AND (page_acts_as('coordinator')
           OR NOT EXISTS (SELECT FROM block WHERE child_id = child.id AND administration = page_administration()
                                              AND lifted_at IS NULL));
END;

CREATE FUNCTION page_callers() RETURNS SETOF uuid STABLE SECURITY DEFINER LANGUAGE sql
BEGIN ATOMIC
    -- The guardians whose names stand on a task or a form: who asked, whom a letter was for, who has custody today.
    SELECT guardian_id FROM rights_request WHERE task_id = ANY (ARRAY(SELECT page_work()))
    UNION SELECT letter.guardian_id FROM task JOIN letter ON letter.id = task.letter_id
    WHERE task.id = ANY (ARRAY(SELECT page_work()))
    UNION SELECT guardian_id FROM custody
    WHERE child_id = ANY (ARRAY(SELECT page_named()))
      AND coalesce(since, '-infinity') <= page_day() AND coalesce(until, 'infinity') > page_day();
END;

CREATE FUNCTION page_to_review() RETURNS SETOF uuid STABLE SECURITY DEFINER LANGUAGE sql
BEGIN ATOMIC
    -- The entries of looks with a reason: a leader's of the own unit, and where none is known of the administration; the
    -- auditor's all.
    SELECT entry_id FROM task
    WHERE done_at IS NULL AND entry_id IS NOT NULL AND kind IN ('review', 'look_wrong') AND (
        page_acts_as('auditor')
        OR (page_acts_as('leader') AND kind = 'review' AND administration = page_administration()
            AND (team IS NULL OR team = page_team())));
END;

CREATE OR REPLACE FUNCTION page_children() RETURNS SETOF uuid STABLE SECURITY DEFINER LANGUAGE sql
BEGIN ATOMIC
    SELECT page_family()
    UNION ALL SELECT page_named();
END;

CREATE OR REPLACE FUNCTION page_keys() RETURNS SETOF uuid STABLE SECURITY DEFINER LANGUAGE sql
BEGIN ATOMIC
    -- What may be opened, and nothing else.
    SELECT key_id FROM guardian WHERE id = page_guardian()
    UNION ALL SELECT key_id FROM guardian WHERE id = ANY (ARRAY(SELECT page_callers()))
    UNION ALL SELECT key_id FROM child WHERE id = ANY (ARRAY(SELECT page_children()))
    UNION ALL SELECT key_id FROM rights_request WHERE task_id = ANY (ARRAY(SELECT page_work()))
                                                  AND (child_id IS NULL OR child_id = ANY (ARRAY(SELECT page_named())))
    UNION ALL SELECT key_id FROM staff WHERE id = ANY (ARRAY(SELECT page_staff_known()))
    UNION ALL SELECT page_key()
    UNION ALL SELECT asker_key FROM log_entry WHERE id = ANY (ARRAY(SELECT page_to_review()))
    UNION ALL SELECT subject_key FROM log_entry WHERE id = ANY (ARRAY(SELECT page_to_review()))
    UNION ALL SELECT key_id FROM rotating_key WHERE day = page_day();
END;

REVOKE EXECUTE ON FUNCTION page_coordinating(), page_work(), page_at_hand(), page_named(), page_callers(),
    page_to_review() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION page_coordinating(), page_work(), page_at_hand(), page_named(), page_callers(),
    page_to_review() TO tovholder_page;

-- What a member of staff sees, beside what the viewers of 0005 do.

DROP POLICY page ON task;
CREATE POLICY page ON task FOR SELECT TO tovholder_page USING (
    id IN (SELECT page_work()) OR entry_id IN (SELECT page_to_review())
    OR id IN (SELECT task_id FROM rights_request WHERE guardian_id = page_guardian()));
DROP POLICY page ON case_index;
CREATE POLICY page ON case_index FOR SELECT TO tovholder_page USING (
    child_id IN (SELECT page_family())
    OR ((administration = page_administration() OR page_acts_as('coordinator')) AND child_id IN (SELECT page_at_hand())));
DROP POLICY page ON child;
CREATE POLICY page ON child FOR SELECT TO tovholder_page USING (
    id IN (SELECT page_family()) OR id IN (SELECT page_at_hand()));
DROP POLICY page ON coordinator;
CREATE POLICY page ON coordinator FOR SELECT TO tovholder_page USING (
    staff_id IN (SELECT page_coordinators()) OR staff_id IN (SELECT page_coordinating()));
DROP POLICY page ON staff;
CREATE POLICY page ON staff FOR SELECT TO tovholder_page USING (
    key_id = page_key() OR id IN (SELECT page_staff_known()));
CREATE POLICY page_work ON guardian FOR SELECT TO tovholder_page USING (id IN (SELECT page_callers()));
CREATE POLICY page_work ON custody FOR SELECT TO tovholder_page USING (child_id IN (SELECT page_named()));
CREATE POLICY page_work ON offer FOR SELECT TO tovholder_page USING (child_id IN (SELECT page_at_hand()));
CREATE POLICY page_work ON assignment FOR SELECT TO tovholder_page USING (
    until IS NULL AND child_id IN (SELECT page_at_hand()));
-- Also for whom else: whoever is of no known administration is shut out by any.
CREATE POLICY page_work ON block FOR SELECT TO tovholder_page USING (child_id IN (SELECT page_at_hand()));
CREATE POLICY page_work ON rights_request FOR SELECT TO tovholder_page USING (task_id IN (SELECT page_work()));
CREATE POLICY page_work ON letter FOR SELECT TO tovholder_page USING (
    id IN (SELECT letter_id FROM task WHERE id IN (SELECT page_work())));
CREATE POLICY page_work ON presence FOR SELECT TO tovholder_page USING (
    administration = page_administration()
    AND token IN (SELECT token FROM child WHERE id IN (SELECT page_at_hand())));
CREATE POLICY page_work ON log_entry FOR SELECT TO tovholder_page USING (
    id IN (SELECT page_to_review()) OR (id = page_entry() AND kind = 'lookup' AND asker_key = page_key()));

GRANT SELECT ON presence, log_entry TO tovholder_page;

-- Whoever looks has a row before their page begins (hub/access/viewers.py).
DROP POLICY page_adds ON staff;
REVOKE INSERT ON staff FROM tovholder_page;
