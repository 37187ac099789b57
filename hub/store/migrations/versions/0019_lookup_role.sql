-- What the lookups' queue works as. Its batches hold the questions of several administrations, so its rows cannot be those
-- of one: instead it is given the columns a lookup is decided by, the rows that hold now, and nothing to write but entries
-- of lookups, the tasks to review them, and the pace. No guardian, no letter, no sealed field of a child or a case.

GRANT SELECT (id, token, key_id) ON child TO tovholder_lookup;
GRANT SELECT (token, child_id) ON former_number TO tovholder_lookup;
GRANT SELECT (id, version, wrapped) ON person_key TO tovholder_lookup;
GRANT SELECT (child_id, coordinator_id, since, until) ON assignment TO tovholder_lookup;
GRANT SELECT (staff_id, substitute_id, away) ON coordinator TO tovholder_lookup;
GRANT SELECT (id, key_id, reference, administration, sealed) ON staff TO tovholder_lookup;
GRANT SELECT (child_id, administration, is_open) ON case_index TO tovholder_lookup;
GRANT SELECT (child_id, administration, lifted_at) ON block TO tovholder_lookup;
GRANT SELECT (child_id, administration, since, until, withdrawn_at) ON consent TO tovholder_lookup;
GRANT SELECT (source, purpose, failure, answered_at) ON source_state TO tovholder_lookup;
GRANT SELECT (id, size), UPDATE (size) ON log_head TO tovholder_lookup;
GRANT SELECT (asker, child, at), INSERT (asker, child, at), UPDATE (at) ON asker_hour TO tovholder_lookup;
GRANT INSERT (seq, version, at, kind, id, child_id, asker_key, asker, subject_key, subject) ON log_entry
    TO tovholder_lookup;
GRANT INSERT (id, kind, once, administration, team, child_id, entry_id, made_at) ON task TO tovholder_lookup;

CREATE POLICY lookup ON child FOR SELECT TO tovholder_lookup USING (true);
CREATE POLICY lookup ON former_number FOR SELECT TO tovholder_lookup USING (true);
CREATE POLICY lookup ON person_key FOR SELECT TO tovholder_lookup USING (true);
CREATE POLICY lookup ON assignment FOR SELECT TO tovholder_lookup USING (until IS NULL);
CREATE POLICY lookup ON coordinator FOR SELECT TO tovholder_lookup USING (true);
-- Not the advisers that sources name, nor those who have signed in.
CREATE POLICY lookup ON staff FOR SELECT TO tovholder_lookup USING (source = 'coordinators');
CREATE POLICY lookup ON case_index FOR SELECT TO tovholder_lookup USING (is_open);
CREATE POLICY lookup ON block FOR SELECT TO tovholder_lookup USING (lifted_at IS NULL);
CREATE POLICY lookup ON consent FOR SELECT TO tovholder_lookup USING (withdrawn_at IS NULL);
CREATE POLICY lookup ON source_state FOR SELECT TO tovholder_lookup USING (true);
CREATE POLICY lookup ON log_head TO tovholder_lookup USING (true);
CREATE POLICY lookup ON asker_hour TO tovholder_lookup USING (true);
CREATE POLICY lookup ON log_entry FOR INSERT TO tovholder_lookup WITH CHECK (kind = 'lookup');
CREATE POLICY lookup ON task FOR INSERT TO tovholder_lookup WITH CHECK (kind = 'review' AND entry_id IS NOT NULL);
