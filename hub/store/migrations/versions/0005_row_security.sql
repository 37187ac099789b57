-- Who sees which rows. tovholder_app does the work that mixes families and administrations (worker, match, sync,
-- letters, the lookups' queue): all rows, by its grants. tovholder_page is what a page reads as: the rows of one viewer,
-- whom each transaction names (hub/store/viewer.py); nobody named, nothing seen. A table without a grant and a policy for
-- it is closed to pages.
--
-- The owner is not held by this: backups and migrations see everything.

DO $$
DECLARE
    each text;
BEGIN
    FOR each IN
        SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
          AND relname NOT LIKE 'procrastinate%' AND relname <> 'alembic_version'
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', each);
        EXECUTE format('CREATE POLICY app ON %I TO tovholder_app USING (true) WITH CHECK (true)', each);
    END LOOP;
END $$;

-- Whose transaction it is. A setting that was never made is null, one that has ended with its transaction is ''.

CREATE FUNCTION page_day() RETURNS date STABLE LANGUAGE sql
RETURN nullif(current_setting('tovholder.day', true), '')::date;

CREATE FUNCTION page_guardian() RETURNS uuid STABLE LANGUAGE sql
RETURN nullif(current_setting('tovholder.guardian', true), '')::uuid;

CREATE FUNCTION page_child() RETURNS uuid STABLE LANGUAGE sql
RETURN nullif(current_setting('tovholder.child', true), '')::uuid;

CREATE FUNCTION page_staff() RETURNS uuid STABLE LANGUAGE sql
RETURN nullif(current_setting('tovholder.staff', true), '')::uuid;

CREATE FUNCTION page_administration() RETURNS text STABLE LANGUAGE sql
RETURN nullif(current_setting('tovholder.administration', true), '');

-- What hangs together over several tables, reckoned as the owner: so policies need not pass through each other's. Arrays
-- let an index be used, and a condition about the viewer alone spares the rest of its branch.

CREATE FUNCTION page_family() RETURNS SETOF uuid STABLE SECURITY DEFINER LANGUAGE sql
BEGIN ATOMIC
    -- The guardian's children, by custody on the day; or the young person themselves.
    SELECT child_id FROM custody
    WHERE guardian_id = page_guardian()
      AND coalesce(since, '-infinity') <= page_day() AND coalesce(until, 'infinity') > page_day()
    UNION ALL SELECT id FROM child WHERE id = page_child();
END;

CREATE FUNCTION page_children() RETURNS SETOF uuid STABLE SECURITY DEFINER LANGUAGE sql
BEGIN ATOMIC
    SELECT page_family()
    UNION ALL SELECT child_id FROM case_index
    WHERE page_administration() IS NOT NULL AND administration = page_administration() AND is_open
    UNION ALL SELECT child_id FROM assignment WHERE coordinator_id = page_staff() AND until IS NULL;
END;

CREATE FUNCTION page_coordinators() RETURNS SETOF uuid STABLE SECURITY DEFINER LANGUAGE sql
BEGIN ATOMIC
    SELECT page_staff()
    UNION ALL SELECT coordinator_id FROM offer WHERE child_id = ANY (ARRAY(SELECT page_family()))
    UNION ALL SELECT coordinator_id FROM assignment WHERE child_id = ANY (ARRAY(SELECT page_family())) AND until IS NULL;
END;

CREATE FUNCTION page_staff_known() RETURNS SETOF uuid STABLE SECURITY DEFINER LANGUAGE sql
BEGIN ATOMIC
    -- The family's coordinators, their substitutes while they are away, and its advisers.
    SELECT page_coordinators()
    UNION ALL SELECT substitute_id FROM coordinator WHERE away AND staff_id = ANY (ARRAY(SELECT page_coordinators()))
    UNION ALL SELECT adviser_id FROM case_index WHERE child_id = ANY (ARRAY(SELECT page_family()));
END;

CREATE FUNCTION page_letters() RETURNS SETOF uuid STABLE SECURITY DEFINER LANGUAGE sql
BEGIN ATOMIC
    -- The guardian's letters that have left, unless one is also about a child who is no longer theirs.
    SELECT id FROM letter
    WHERE guardian_id = page_guardian() AND state IN ('sent', 'received', 'delivered', 'returned', 'failed')
      AND NOT EXISTS (SELECT FROM letter_child
                      WHERE letter_id = letter.id AND child_id <> ALL (ARRAY(SELECT page_family())));
END;

CREATE FUNCTION page_keys() RETURNS SETOF uuid STABLE SECURITY DEFINER LANGUAGE sql
BEGIN ATOMIC
    -- What may be opened, and nothing else.
    SELECT key_id FROM guardian WHERE id = page_guardian()
    UNION ALL SELECT key_id FROM child WHERE id = ANY (ARRAY(SELECT page_children()))
    UNION ALL SELECT key_id FROM staff WHERE id = ANY (ARRAY(SELECT page_staff_known()))
    UNION ALL SELECT key_id FROM staff
    WHERE page_administration() IS NOT NULL AND administration = page_administration()
    UNION ALL SELECT key_id FROM rotating_key WHERE day = page_day();
END;

REVOKE EXECUTE ON FUNCTION page_family(), page_children(), page_coordinators(), page_staff_known(), page_letters(),
    page_keys() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION page_family(), page_children(), page_coordinators(), page_staff_known(), page_letters(),
    page_keys() TO tovholder_page;

-- What each viewer sees of each table.

CREATE POLICY page ON guardian FOR SELECT TO tovholder_page USING (id = page_guardian());
CREATE POLICY page ON custody FOR SELECT TO tovholder_page USING (
    guardian_id = page_guardian() AND child_id IN (SELECT page_family()));
CREATE POLICY page ON child FOR SELECT TO tovholder_page USING (id IN (SELECT page_children()));
CREATE POLICY page ON offer FOR SELECT TO tovholder_page USING (
    coordinator_id = page_staff() OR child_id IN (SELECT page_family()));
CREATE POLICY page ON assignment FOR SELECT TO tovholder_page USING (
    until IS NULL AND (coordinator_id = page_staff() OR child_id IN (SELECT page_family())));
-- Never the other guardian's answer.
CREATE POLICY page ON acceptance FOR SELECT TO tovholder_page USING (guardian_id = page_guardian());
CREATE POLICY page ON case_index FOR SELECT TO tovholder_page USING (
    administration = page_administration() OR child_id IN (SELECT page_family()));
CREATE POLICY page ON child_source FOR SELECT TO tovholder_page USING (child_id IN (SELECT page_family()));
CREATE POLICY page ON letter FOR SELECT TO tovholder_page USING (id IN (SELECT page_letters()));
CREATE POLICY page ON letter_child FOR SELECT TO tovholder_page USING (letter_id IN (SELECT page_letters()));
CREATE POLICY page ON coordinator FOR SELECT TO tovholder_page USING (staff_id IN (SELECT page_coordinators()));
CREATE POLICY page ON staff FOR SELECT TO tovholder_page USING (
    administration = page_administration() OR id IN (SELECT page_staff_known()));
-- What a guardian has asked for, given and closed; never what the other has.
CREATE POLICY page ON rights_request FOR SELECT TO tovholder_page USING (guardian_id = page_guardian());
CREATE POLICY page ON consent FOR SELECT TO tovholder_page USING (guardian_id = page_guardian());
CREATE POLICY page ON block FOR SELECT TO tovholder_page USING (guardian_id = page_guardian());
CREATE POLICY page ON task FOR SELECT TO tovholder_page USING (
    staff_id = page_staff() OR administration = page_administration()
    OR id IN (SELECT task_id FROM rights_request WHERE guardian_id = page_guardian()));
CREATE POLICY page ON person_key FOR SELECT TO tovholder_page USING (id IN (SELECT page_keys()));
CREATE POLICY page ON rotating_key FOR SELECT TO tovholder_page USING (day = page_day());
-- How fresh a source is: the same for everybody who is somebody.
CREATE POLICY page ON source_state FOR SELECT TO tovholder_page USING (page_day() IS NOT NULL);

GRANT SELECT ON acceptance, assignment, block, case_index, child, child_source, consent, coordinator, custody, guardian,
    letter, letter_child, offer, person_key, rights_request, rotating_key, source_state, staff, task TO tovholder_page;

-- What a look must write: its entries, the head they move, the day's key, and the key of who looks. An entry may be
-- about any child: custody that ends while a page is read is found once the head is held, after the entry is added.

CREATE POLICY page_adds ON log_entry FOR INSERT TO tovholder_page WITH CHECK (page_day() IS NOT NULL);
CREATE POLICY page ON log_head TO tovholder_page USING (page_day() IS NOT NULL);
CREATE POLICY page_adds ON person_key FOR INSERT TO tovholder_page WITH CHECK (page_day() IS NOT NULL);
CREATE POLICY page_adds ON rotating_key FOR INSERT TO tovholder_page WITH CHECK (day = page_day());
CREATE POLICY page_adds ON staff FOR INSERT TO tovholder_page WITH CHECK (
    source = 'login' AND administration = page_administration());

GRANT INSERT ON log_entry, person_key, rotating_key, staff TO tovholder_page;
GRANT SELECT, UPDATE ON log_head TO tovholder_page;
