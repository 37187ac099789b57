-- The verdicts on looks at the family's children. The log itself stays closed to pages: all other entries tell who looked.
CREATE FUNCTION page_reviews() RETURNS TABLE (id uuid, child_id uuid, at timestamptz, seq bigint, subject bytea)
STABLE SECURITY DEFINER LANGUAGE sql
BEGIN ATOMIC
    SELECT id, child_id, at, seq, subject FROM log_entry
    WHERE kind = 'review' AND child_id IN (SELECT page_family());
END;

REVOKE EXECUTE ON FUNCTION page_reviews() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION page_reviews() TO tovholder_page;

-- What a young person gave and closed themselves; never what a guardian has.
CREATE POLICY page_young ON consent FOR SELECT TO tovholder_page USING (
    capacity = 'young' AND child_id = page_child());
CREATE POLICY page_young ON block FOR SELECT TO tovholder_page USING (capacity = 'young' AND child_id = page_child());
