-- Who is written to about a child without having custody of it.

CREATE TABLE hears (
    id UUID NOT NULL,
    child_id UUID NOT NULL,
    person_id UUID NOT NULL,
    capacity TEXT NOT NULL,
    principal_id UUID,
    instead BOOLEAN NOT NULL,
    past_18 BOOLEAN NOT NULL,
    since DATE NOT NULL,
    until DATE,
    registered_by UUID,
    sealed BYTEA,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_hears PRIMARY KEY (id),
    CONSTRAINT ck_hears_capacity CHECK (capacity in ('young','representative')),
    CONSTRAINT ck_hears_mandate CHECK (capacity = 'representative' or not (instead or past_18)),
    CONSTRAINT ck_hears_past_18 CHECK (principal_id is null or not past_18),
    CONSTRAINT fk_hears_child_id FOREIGN KEY(child_id) REFERENCES child (id),
    CONSTRAINT fk_hears_person_id FOREIGN KEY(person_id) REFERENCES guardian (id),
    CONSTRAINT fk_hears_principal_id FOREIGN KEY(principal_id) REFERENCES guardian (id),
    CONSTRAINT fk_hears_registered_by FOREIGN KEY(registered_by) REFERENCES staff (id)
);

CREATE INDEX ix_hears_person_id ON hears (person_id);
CREATE INDEX ix_hears_child ON hears (child_id) WHERE ended_at is null;
CREATE UNIQUE INDEX uq_hears_young ON hears (child_id) WHERE capacity = 'young';

GRANT SELECT, INSERT, UPDATE, DELETE ON hears TO tovholder_app;
ALTER TABLE hears ENABLE ROW LEVEL SECURITY;
CREATE POLICY app ON hears TO tovholder_app USING (true) WITH CHECK (true);

-- Staff who write down what a family says see who has a mandate: by name, of the children they may name.

CREATE OR REPLACE FUNCTION page_callers() RETURNS SETOF uuid STABLE SECURITY DEFINER LANGUAGE sql
BEGIN ATOMIC
    -- Those whose names stand on a task or a form: who asked, whom a letter was for, who has custody today, who has a
    -- mandate.
    SELECT guardian_id FROM rights_request WHERE task_id = ANY (ARRAY(SELECT page_work()))
    UNION SELECT letter.guardian_id FROM task JOIN letter ON letter.id = task.letter_id
    WHERE task.id = ANY (ARRAY(SELECT page_work()))
    UNION SELECT guardian_id FROM custody
    WHERE child_id = ANY (ARRAY(SELECT page_named()))
      AND coalesce(since, '-infinity') <= page_day() AND coalesce(until, 'infinity') > page_day()
    UNION SELECT person_id FROM hears
    WHERE child_id = ANY (ARRAY(SELECT page_named())) AND capacity = 'representative' AND ended_at IS NULL;
END;

CREATE POLICY page_work ON hears FOR SELECT TO tovholder_page USING (child_id IN (SELECT page_named()));
GRANT SELECT ON hears TO tovholder_page;

-- What a young person's own page shows: their own letters that have left, and what opens them.

CREATE FUNCTION page_young() RETURNS SETOF uuid STABLE SECURITY DEFINER LANGUAGE sql
BEGIN ATOMIC
    SELECT person_id FROM hears WHERE child_id = page_child() AND capacity = 'young';
END;

CREATE FUNCTION page_young_key() RETURNS SETOF uuid STABLE SECURITY DEFINER LANGUAGE sql
BEGIN ATOMIC
    SELECT key_id FROM guardian WHERE id = ANY (ARRAY(SELECT page_young()));
END;

CREATE FUNCTION page_young_letters() RETURNS SETOF uuid STABLE SECURITY DEFINER LANGUAGE sql
BEGIN ATOMIC
    SELECT id FROM letter
    WHERE guardian_id = ANY (ARRAY(SELECT page_young()))
      AND state IN ('sent', 'received', 'delivered', 'returned', 'failed')
      AND NOT EXISTS (SELECT FROM letter_child WHERE letter_id = letter.id AND child_id <> page_child());
END;

REVOKE EXECUTE ON FUNCTION page_young(), page_young_key(), page_young_letters() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION page_young(), page_young_key(), page_young_letters() TO tovholder_page;

CREATE POLICY page_young ON guardian FOR SELECT TO tovholder_page USING (id IN (SELECT page_young()));
CREATE POLICY page_young ON person_key FOR SELECT TO tovholder_page USING (id IN (SELECT page_young_key()));
CREATE POLICY page_young ON letter FOR SELECT TO tovholder_page USING (id IN (SELECT page_young_letters()));
CREATE POLICY page_young ON letter_child FOR SELECT TO tovholder_page USING (
    letter_id IN (SELECT page_young_letters()));
-- What a young person has answered themselves; never what a guardian has.
CREATE POLICY page_young ON acceptance FOR SELECT TO tovholder_page USING (
    capacity = 'young' AND child_id = page_child());
