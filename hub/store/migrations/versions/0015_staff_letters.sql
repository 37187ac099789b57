-- Two more of staff's pages: a coordinator's letters, and what an adviser has been told. Which rows those may be about
-- is found as whoever looks; their rules are the program's, these are the bounds behind them.

CREATE FUNCTION page_advises() RETURNS SETOF uuid STABLE LANGUAGE sql
BEGIN ATOMIC
    -- The viewer's own rows, as the sources name advisers.
    SELECT unnest(string_to_array(nullif(current_setting('tovholder.advises', true), ''), ' ')::uuid[]);
END;

CREATE FUNCTION page_followed() RETURNS SETOF uuid STABLE SECURITY DEFINER LANGUAGE sql
BEGIN ATOMIC
    -- The letters of a coordinator's families; none that is also about a child of somebody else's, or of a family that
    -- has closed for the viewer's administration.
    WITH theirs AS (
        SELECT child_id FROM assignment WHERE until IS NULL AND coordinator_id = ANY (ARRAY(SELECT page_coordinating()))
        UNION SELECT child_id FROM offer
        WHERE state = 'offered' AND coordinator_id = ANY (ARRAY(SELECT page_coordinating()))
        EXCEPT SELECT child_id FROM block WHERE administration = page_administration() AND lifted_at IS NULL
    ), about AS (
        SELECT letter_id FROM letter_child WHERE child_id IN (SELECT child_id FROM theirs)
    )
    SELECT letter_id FROM about WHERE page_acts_as('coordinator')
    EXCEPT SELECT letter_id FROM letter_child
    WHERE letter_id IN (SELECT letter_id FROM about) AND child_id NOT IN (SELECT child_id FROM theirs);
END;

REVOKE EXECUTE ON FUNCTION page_advises(), page_followed() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION page_advises(), page_followed() TO tovholder_page;

CREATE POLICY page_way ON letter FOR SELECT TO tovholder_page USING (id IN (SELECT page_followed()));
CREATE POLICY page ON notice FOR SELECT TO tovholder_page USING (
    administration = page_administration() AND adviser_id IN (SELECT page_advises()));

GRANT SELECT ON notice TO tovholder_page;
