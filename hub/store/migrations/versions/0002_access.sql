-- Only adds: programs that know 0001 work on it as before.

CREATE TABLE consent (
    id UUID NOT NULL,
    child_id UUID NOT NULL,
    administration TEXT NOT NULL,
    capacity TEXT NOT NULL,
    guardian_id UUID,
    how TEXT NOT NULL,
    registered_by UUID,
    text_version TEXT NOT NULL,
    language TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    until TIMESTAMP WITH TIME ZONE,
    withdrawn_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_consent PRIMARY KEY (id),
    CONSTRAINT ck_consent_capacity CHECK (capacity in ('guardian','young','representative')),
    CONSTRAINT ck_consent_who CHECK ((capacity = 'guardian') = (guardian_id is not null)),
    CONSTRAINT fk_consent_child_id FOREIGN KEY(child_id) REFERENCES child (id),
    CONSTRAINT fk_consent_guardian_id FOREIGN KEY(guardian_id) REFERENCES guardian (id),
    CONSTRAINT fk_consent_registered_by FOREIGN KEY(registered_by) REFERENCES staff (id)
);

CREATE INDEX ix_consent_active ON consent (child_id, administration) WHERE withdrawn_at is null;

CREATE TABLE block (
    id UUID NOT NULL,
    child_id UUID NOT NULL,
    administration TEXT NOT NULL,
    kind TEXT NOT NULL,
    capacity TEXT NOT NULL,
    guardian_id UUID,
    how TEXT NOT NULL,
    registered_by UUID,
    text_version TEXT NOT NULL,
    language TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    lifted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_block PRIMARY KEY (id),
    CONSTRAINT ck_block_kind CHECK (kind in ('block','objection')),
    CONSTRAINT ck_block_capacity CHECK (capacity in ('guardian','young','representative')),
    CONSTRAINT ck_block_who CHECK ((capacity = 'guardian') = (guardian_id is not null)),
    CONSTRAINT fk_block_child_id FOREIGN KEY(child_id) REFERENCES child (id),
    CONSTRAINT fk_block_guardian_id FOREIGN KEY(guardian_id) REFERENCES guardian (id),
    CONSTRAINT fk_block_registered_by FOREIGN KEY(registered_by) REFERENCES staff (id)
);

CREATE INDEX ix_block_active ON block (child_id, administration) WHERE lifted_at is null;

GRANT SELECT, INSERT, UPDATE, DELETE ON consent, block TO tovholder_app;

ALTER TABLE acceptance ADD COLUMN capacity TEXT;
ALTER TABLE acceptance ADD COLUMN language TEXT;
ALTER TABLE acceptance ADD COLUMN evidence BYTEA;

ALTER TABLE task ADD COLUMN team BYTEA;
ALTER TABLE task ADD COLUMN entry_id UUID;

CREATE INDEX ix_task_review ON task (administration, team) WHERE done_at is null and entry_id is not null;
