-- What staff are told (notices), and the parts of letters that case systems journalise.

CREATE TABLE notice (
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    child_id UUID NOT NULL,
    case_id UUID,
    source TEXT NOT NULL,
    administration TEXT NOT NULL,
    adviser_id UUID NOT NULL,
    coordinator_id UUID NOT NULL,
    of_id UUID,
    once BYTEA NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    sealed BYTEA,
    position BIGINT,
    routed_at TIMESTAMP WITH TIME ZONE,
    told_at TIMESTAMP WITH TIME ZONE,
    why_not TEXT,
    CONSTRAINT pk_notice PRIMARY KEY (id),
    CONSTRAINT ck_notice_kind CHECK (kind in ('assigned','substitute','back','handed_over','ended')),
    CONSTRAINT ck_notice_sealed CHECK ((sealed is not null) = (of_id is null)),
    CONSTRAINT fk_notice_child_id FOREIGN KEY(child_id) REFERENCES child (id),
    CONSTRAINT fk_notice_case_id FOREIGN KEY(case_id) REFERENCES case_index (id) ON DELETE SET NULL,
    CONSTRAINT fk_notice_adviser_id FOREIGN KEY(adviser_id) REFERENCES staff (id),
    CONSTRAINT fk_notice_coordinator_id FOREIGN KEY(coordinator_id) REFERENCES coordinator (staff_id),
    CONSTRAINT fk_notice_of_id FOREIGN KEY(of_id) REFERENCES notice (id) ON DELETE CASCADE,
    CONSTRAINT uq_notice_once UNIQUE (once)
);

CREATE INDEX ix_notice_adviser_id ON notice (adviser_id);

CREATE INDEX ix_notice_case_id ON notice (case_id);

CREATE INDEX ix_notice_child_id ON notice (child_id);

CREATE INDEX ix_notice_new ON notice (administration) WHERE position is null;

CREATE INDEX ix_notice_of_id ON notice (of_id);

CREATE INDEX ix_notice_unrouted ON notice (at) WHERE routed_at is null;

CREATE UNIQUE INDEX uq_notice_position ON notice (administration, position) WHERE position is not null;

CREATE TABLE notice_handover (
    notice_id UUID NOT NULL,
    way TEXT NOT NULL,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL,
    next_at TIMESTAMP WITH TIME ZONE NOT NULL,
    state_at TIMESTAMP WITH TIME ZONE NOT NULL,
    entry_id UUID,
    reason TEXT,
    CONSTRAINT pk_notice_handover PRIMARY KEY (notice_id, way),
    CONSTRAINT ck_notice_handover_state CHECK (state in ('waiting','sent','withheld','dead')),
    CONSTRAINT fk_notice_handover_notice_id FOREIGN KEY(notice_id) REFERENCES notice (id) ON DELETE CASCADE
);

CREATE INDEX ix_notice_handover_due ON notice_handover (next_at) WHERE state = 'waiting';

CREATE TABLE notice_choice (
    staff_id UUID NOT NULL,
    kind TEXT NOT NULL,
    way TEXT NOT NULL,
    CONSTRAINT pk_notice_choice PRIMARY KEY (staff_id, kind),
    CONSTRAINT ck_notice_choice_way CHECK (way in ('mail','page','off')),
    CONSTRAINT fk_notice_choice_staff_id FOREIGN KEY(staff_id) REFERENCES staff (id)
);

CREATE TABLE letter_part (
    id UUID NOT NULL,
    letter_id UUID NOT NULL,
    child_id UUID NOT NULL,
    administration TEXT NOT NULL,
    sealed BYTEA,
    sha256 BYTEA NOT NULL,
    position BIGINT,
    due DATE,
    journalised_at TIMESTAMP WITH TIME ZONE,
    receipt BYTEA,
    why_not TEXT,
    CONSTRAINT pk_letter_part PRIMARY KEY (id),
    CONSTRAINT fk_letter_part_letter_id FOREIGN KEY(letter_id) REFERENCES letter (id),
    CONSTRAINT fk_letter_part_child_id FOREIGN KEY(child_id) REFERENCES child (id)
);

CREATE INDEX ix_letter_part_child_id ON letter_part (child_id);

CREATE INDEX ix_letter_part_due ON letter_part (due) WHERE journalised_at is null and why_not is null;

CREATE INDEX ix_letter_part_new ON letter_part (administration) WHERE position is null;

CREATE UNIQUE INDEX uq_letter_part_once ON letter_part (letter_id, child_id, administration);

CREATE UNIQUE INDEX uq_letter_part_position ON letter_part (administration, position) WHERE position is not null;

GRANT SELECT, INSERT, UPDATE, DELETE ON notice, notice_handover, notice_choice, letter_part TO tovholder_app;

-- Closed to pages: what staff see of notices is read as tovholder_app, each look with its entry in the log.

ALTER TABLE notice ENABLE ROW LEVEL SECURITY;
CREATE POLICY app ON notice TO tovholder_app USING (true) WITH CHECK (true);
ALTER TABLE notice_handover ENABLE ROW LEVEL SECURITY;
CREATE POLICY app ON notice_handover TO tovholder_app USING (true) WITH CHECK (true);
ALTER TABLE notice_choice ENABLE ROW LEVEL SECURITY;
CREATE POLICY app ON notice_choice TO tovholder_app USING (true) WITH CHECK (true);
ALTER TABLE letter_part ENABLE ROW LEVEL SECURITY;
CREATE POLICY app ON letter_part TO tovholder_app USING (true) WITH CHECK (true);
