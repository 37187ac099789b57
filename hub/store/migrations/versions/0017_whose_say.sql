-- Whose say a representative's consent or block is; and no leader of a closed administration reads a look.

ALTER TABLE consent DROP CONSTRAINT ck_consent_who;
ALTER TABLE consent ADD CONSTRAINT ck_consent_who CHECK (
    capacity = 'representative' or (capacity = 'guardian') = (guardian_id is not null));
ALTER TABLE block DROP CONSTRAINT ck_block_who;
ALTER TABLE block ADD CONSTRAINT ck_block_who CHECK (
    capacity = 'representative' or (capacity = 'guardian') = (guardian_id is not null));

CREATE OR REPLACE FUNCTION page_to_review() RETURNS SETOF uuid STABLE SECURITY DEFINER LANGUAGE sql
BEGIN ATOMIC
    -- The entries of looks with a reason: a leader's of the own unit, and where none is known of the administration, but
    -- of no family that has closed for it; the auditor's all.
    SELECT entry_id FROM task
    WHERE done_at IS NULL AND entry_id IS NOT NULL AND kind IN ('review', 'look_wrong') AND (
        page_acts_as('auditor')
        OR (page_acts_as('leader') AND kind = 'review' AND administration = page_administration()
            AND (team IS NULL OR team = page_team())
            AND NOT EXISTS (SELECT FROM log_entry JOIN block ON block.child_id = log_entry.child_id
                            WHERE log_entry.id = task.entry_id AND block.administration = page_administration()
                              AND block.lifted_at IS NULL)));
END;
