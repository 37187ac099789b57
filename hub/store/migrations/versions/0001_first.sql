-- The first tables. What each may hold of a person: hub/store/tables.

CREATE TABLE log_entry (
    seq BIGINT NOT NULL,
    id UUID NOT NULL,
    version INTEGER NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    kind TEXT NOT NULL,
    child_id UUID,
    asker_key UUID NOT NULL,
    asker BYTEA NOT NULL,
    subject_key UUID NOT NULL,
    subject BYTEA NOT NULL,
    CONSTRAINT pk_log_entry PRIMARY KEY (seq),
    CONSTRAINT uq_log_entry_id UNIQUE (id)
);

CREATE INDEX ix_log_entry_child_id ON log_entry (child_id);

CREATE TABLE log_head (
    id SERIAL NOT NULL,
    size BIGINT NOT NULL,
    CONSTRAINT pk_log_head PRIMARY KEY (id),
    CONSTRAINT ck_log_head_one CHECK (id = 1)
);

CREATE TABLE program_fit (
    revision TEXT NOT NULL,
    CONSTRAINT pk_program_fit PRIMARY KEY (revision)
);

CREATE TABLE sender (
    id INTEGER NOT NULL,
    place TEXT NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_sender PRIMARY KEY (id),
    CONSTRAINT ck_sender_one CHECK (id = 1)
);

CREATE TABLE told (
    said BYTEA NOT NULL,
    until TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_told PRIMARY KEY (said)
);

CREATE TABLE person_key (
    id UUID NOT NULL,
    version INTEGER NOT NULL,
    wrapped BYTEA,
    destroyed_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_person_key PRIMARY KEY (id)
);

CREATE TABLE presence (
    source TEXT NOT NULL,
    reference BYTEA NOT NULL,
    token BYTEA NOT NULL,
    administration TEXT NOT NULL,
    state TEXT NOT NULL,
    last_seen TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_presence PRIMARY KEY (source, reference)
);

CREATE INDEX ix_presence_token ON presence (token);

CREATE INDEX ix_presence_last_seen ON presence USING brin (last_seen) WITH (autosummarize = on);

CREATE TABLE source_state (
    source TEXT NOT NULL,
    purpose TEXT NOT NULL,
    cursor TEXT,
    began_at TIMESTAMP WITH TIME ZONE,
    under_way BOOLEAN NOT NULL,
    full_at TIMESTAMP WITH TIME ZONE,
    first_cursor TEXT,
    kinds TEXT,
    new_kinds TEXT,
    blind_at TIMESTAMP WITH TIME ZONE,
    answered_at TIMESTAMP WITH TIME ZONE,
    failed_at TIMESTAMP WITH TIME ZONE,
    failure TEXT,
    failures INTEGER NOT NULL,
    next_try_at TIMESTAMP WITH TIME ZONE,
    known_rows INTEGER,
    held_rows INTEGER,
    held_of INTEGER,
    held_at TIMESTAMP WITH TIME ZONE,
    accepted_rows INTEGER,
    CONSTRAINT pk_source_state PRIMARY KEY (source, purpose)
);

CREATE TABLE child (
    id UUID NOT NULL,
    token BYTEA NOT NULL,
    key_id UUID NOT NULL,
    sealed BYTEA NOT NULL,
    eligible BOOLEAN NOT NULL,
    same_as UUID,
    CONSTRAINT pk_child PRIMARY KEY (id),
    CONSTRAINT uq_child_token UNIQUE (token),
    CONSTRAINT fk_child_key_id FOREIGN KEY(key_id) REFERENCES person_key (id),
    CONSTRAINT fk_child_same_as FOREIGN KEY(same_as) REFERENCES child (id)
);

CREATE TABLE former_number (
    token BYTEA NOT NULL,
    child_id UUID NOT NULL,
    sealed BYTEA NOT NULL,
    CONSTRAINT pk_former_number PRIMARY KEY (token),
    CONSTRAINT fk_former_number_child_id FOREIGN KEY(child_id) REFERENCES child (id)
);

CREATE INDEX ix_former_number_child_id ON former_number (child_id);

CREATE TABLE guardian (
    id UUID NOT NULL,
    token BYTEA NOT NULL,
    key_id UUID NOT NULL,
    sealed BYTEA NOT NULL,
    language TEXT NOT NULL,
    CONSTRAINT pk_guardian PRIMARY KEY (id),
    CONSTRAINT uq_guardian_token UNIQUE (token),
    CONSTRAINT fk_guardian_key_id FOREIGN KEY(key_id) REFERENCES person_key (id)
);

CREATE TABLE quarantine (
    id UUID NOT NULL,
    source TEXT NOT NULL,
    purpose TEXT NOT NULL,
    identity BYTEA NOT NULL,
    content BYTEA NOT NULL,
    reference BYTEA,
    position TEXT NOT NULL,
    reason TEXT NOT NULL,
    key_id UUID NOT NULL,
    sealed BYTEA NOT NULL,
    first_seen TIMESTAMP WITH TIME ZONE NOT NULL,
    last_seen TIMESTAMP WITH TIME ZONE NOT NULL,
    times INTEGER NOT NULL,
    resolved_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_quarantine PRIMARY KEY (id),
    CONSTRAINT fk_quarantine_key_id FOREIGN KEY(key_id) REFERENCES person_key (id)
);

CREATE INDEX ix_quarantine_reference ON quarantine (source, purpose, reference) WHERE resolved_at is null;

CREATE UNIQUE INDEX uq_quarantine_record ON quarantine (source, purpose, identity);

CREATE TABLE rotating_key (
    day DATE NOT NULL,
    key_id UUID NOT NULL,
    CONSTRAINT pk_rotating_key PRIMARY KEY (day),
    CONSTRAINT fk_rotating_key_key_id FOREIGN KEY(key_id) REFERENCES person_key (id)
);

CREATE TABLE staff (
    id UUID NOT NULL,
    source TEXT NOT NULL,
    reference BYTEA NOT NULL,
    administration TEXT,
    key_id UUID NOT NULL,
    sealed BYTEA NOT NULL,
    CONSTRAINT pk_staff PRIMARY KEY (id),
    CONSTRAINT fk_staff_key_id FOREIGN KEY(key_id) REFERENCES person_key (id)
);

CREATE UNIQUE INDEX uq_staff_reference ON staff (source, reference);

CREATE TABLE acceptance (
    id UUID NOT NULL,
    child_id UUID NOT NULL,
    guardian_id UUID,
    answer TEXT NOT NULL,
    how TEXT NOT NULL,
    registered_by UUID,
    text_version TEXT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_acceptance PRIMARY KEY (id),
    CONSTRAINT ck_acceptance_answer CHECK (answer in ('yes','no','withdrawn')),
    CONSTRAINT fk_acceptance_child_id FOREIGN KEY(child_id) REFERENCES child (id),
    CONSTRAINT fk_acceptance_guardian_id FOREIGN KEY(guardian_id) REFERENCES guardian (id),
    CONSTRAINT fk_acceptance_registered_by FOREIGN KEY(registered_by) REFERENCES staff (id)
);

CREATE INDEX ix_acceptance_child_id ON acceptance (child_id);

CREATE TABLE bundle (
    id UUID NOT NULL,
    guardian_id UUID NOT NULL,
    opened_at TIMESTAMP WITH TIME ZONE NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    composed_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_bundle PRIMARY KEY (id),
    CONSTRAINT fk_bundle_guardian_id FOREIGN KEY(guardian_id) REFERENCES guardian (id)
);

CREATE INDEX ix_bundle_due ON bundle (due_at) WHERE composed_at is null;

CREATE UNIQUE INDEX uq_bundle_open ON bundle (guardian_id) WHERE composed_at is null;

CREATE TABLE case_index (
    id UUID NOT NULL,
    child_id UUID NOT NULL,
    source TEXT NOT NULL,
    reference BYTEA NOT NULL,
    administration TEXT NOT NULL,
    adviser_id UUID,
    is_open BOOLEAN NOT NULL,
    deadline DATE,
    sealed BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    changed TIMESTAMP WITH TIME ZONE,
    seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_case_index PRIMARY KEY (id),
    CONSTRAINT fk_case_index_child_id FOREIGN KEY(child_id) REFERENCES child (id),
    CONSTRAINT fk_case_index_adviser_id FOREIGN KEY(adviser_id) REFERENCES staff (id)
);

CREATE INDEX ix_case_index_child_id ON case_index (child_id);

CREATE INDEX ix_case_index_deadline ON case_index (deadline);

CREATE UNIQUE INDEX uq_case_index_reference ON case_index (source, reference);

CREATE TABLE child_source (
    child_id UUID NOT NULL,
    source TEXT NOT NULL,
    read_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_child_source PRIMARY KEY (child_id, source),
    CONSTRAINT fk_child_source_child_id FOREIGN KEY(child_id) REFERENCES child (id)
);

CREATE TABLE coordinator (
    staff_id UUID NOT NULL,
    number INTEGER NOT NULL,
    active BOOLEAN NOT NULL,
    away BOOLEAN NOT NULL,
    substitute_id UUID,
    CONSTRAINT pk_coordinator PRIMARY KEY (staff_id),
    CONSTRAINT fk_coordinator_staff_id FOREIGN KEY(staff_id) REFERENCES staff (id),
    CONSTRAINT uq_coordinator_number UNIQUE (number),
    CONSTRAINT fk_coordinator_substitute_id FOREIGN KEY(substitute_id) REFERENCES staff (id)
);

CREATE TABLE custody (
    child_id UUID NOT NULL,
    guardian_id UUID NOT NULL,
    since DATE,
    until DATE,
    seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_custody PRIMARY KEY (child_id, guardian_id),
    CONSTRAINT fk_custody_child_id FOREIGN KEY(child_id) REFERENCES child (id),
    CONSTRAINT fk_custody_guardian_id FOREIGN KEY(guardian_id) REFERENCES guardian (id)
);

CREATE INDEX ix_custody_guardian_id ON custody (guardian_id);

CREATE TABLE assignment (
    id UUID NOT NULL,
    child_id UUID NOT NULL,
    coordinator_id UUID NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    until TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_assignment PRIMARY KEY (id),
    CONSTRAINT fk_assignment_child_id FOREIGN KEY(child_id) REFERENCES child (id),
    CONSTRAINT fk_assignment_coordinator_id FOREIGN KEY(coordinator_id) REFERENCES coordinator (staff_id)
);

CREATE INDEX ix_assignment_coordinator ON assignment (coordinator_id) WHERE until is null;

CREATE UNIQUE INDEX uq_assignment_active ON assignment (child_id) WHERE until is null;

CREATE TABLE event (
    id UUID NOT NULL,
    guardian_id UUID NOT NULL,
    child_id UUID NOT NULL,
    kind TEXT NOT NULL,
    case_id UUID,
    once BYTEA NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    bundle_id UUID,
    why_not TEXT,
    CONSTRAINT pk_event PRIMARY KEY (id),
    CONSTRAINT ck_event_ends CHECK (bundle_id is not null or why_not is not null),
    CONSTRAINT fk_event_guardian_id FOREIGN KEY(guardian_id) REFERENCES guardian (id),
    CONSTRAINT fk_event_child_id FOREIGN KEY(child_id) REFERENCES child (id),
    CONSTRAINT fk_event_case_id FOREIGN KEY(case_id) REFERENCES case_index (id) ON DELETE SET NULL,
    CONSTRAINT fk_event_bundle_id FOREIGN KEY(bundle_id) REFERENCES bundle (id)
);

CREATE INDEX ix_event_bundle_id ON event (bundle_id);

CREATE INDEX ix_event_child_id ON event (child_id);

CREATE UNIQUE INDEX uq_event_once ON event (guardian_id, once);

CREATE TABLE letter (
    id UUID NOT NULL,
    bundle_id UUID NOT NULL,
    guardian_id UUID NOT NULL,
    kind TEXT NOT NULL,
    language TEXT NOT NULL,
    template_version TEXT NOT NULL,
    content BYTEA NOT NULL,
    pdf BYTEA NOT NULL,
    sha256 BYTEA NOT NULL,
    frozen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    state TEXT NOT NULL,
    state_at TIMESTAMP WITH TIME ZONE NOT NULL,
    state_due TIMESTAMP WITH TIME ZONE,
    route TEXT,
    tries INTEGER NOT NULL,
    CONSTRAINT pk_letter PRIMARY KEY (id),
    CONSTRAINT ck_letter_state CHECK (state in ('frozen','sent','received','delivered','returned','failed','withheld')),
    CONSTRAINT uq_letter_bundle_id UNIQUE (bundle_id),
    CONSTRAINT fk_letter_bundle_id FOREIGN KEY(bundle_id) REFERENCES bundle (id),
    CONSTRAINT fk_letter_guardian_id FOREIGN KEY(guardian_id) REFERENCES guardian (id)
);

CREATE INDEX ix_letter_guardian_id ON letter (guardian_id);

CREATE INDEX ix_letter_state ON letter (state);

CREATE TABLE offer (
    id UUID NOT NULL,
    child_id UUID NOT NULL,
    coordinator_id UUID,
    state TEXT NOT NULL,
    why TEXT,
    found_at TIMESTAMP WITH TIME ZONE NOT NULL,
    offered_at TIMESTAMP WITH TIME ZONE,
    answer_by DATE,
    reminded_at TIMESTAMP WITH TIME ZONE,
    answered_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_offer PRIMARY KEY (id),
    CONSTRAINT ck_offer_state CHECK (state in ('waiting','offered','accepted','declined','lapsed','withdrawn','grown','died','moved')),
    CONSTRAINT ck_offer_place CHECK ((state in ('offered','accepted')) = (coordinator_id is not null)),
    CONSTRAINT uq_offer_child_id UNIQUE (child_id),
    CONSTRAINT fk_offer_child_id FOREIGN KEY(child_id) REFERENCES child (id),
    CONSTRAINT fk_offer_coordinator_id FOREIGN KEY(coordinator_id) REFERENCES coordinator (staff_id)
);

CREATE INDEX ix_offer_coordinator_id ON offer (coordinator_id);

CREATE TABLE delivery (
    id UUID NOT NULL,
    letter_id UUID NOT NULL,
    channel TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    result TEXT NOT NULL,
    reason TEXT,
    transmission TEXT,
    CONSTRAINT pk_delivery PRIMARY KEY (id),
    CONSTRAINT fk_delivery_letter_id FOREIGN KEY(letter_id) REFERENCES letter (id)
);

CREATE INDEX ix_delivery_letter_id ON delivery (letter_id);

CREATE TABLE delivery_status (
    id UUID NOT NULL,
    channel TEXT NOT NULL,
    key TEXT NOT NULL,
    status TEXT NOT NULL,
    time TIMESTAMP WITH TIME ZONE NOT NULL,
    route TEXT,
    reason TEXT NOT NULL,
    letter_id UUID,
    seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_delivery_status PRIMARY KEY (id),
    CONSTRAINT fk_delivery_status_letter_id FOREIGN KEY(letter_id) REFERENCES letter (id)
);

CREATE UNIQUE INDEX uq_delivery_status_once ON delivery_status (key, channel, status, time);

CREATE TABLE letter_child (
    letter_id UUID NOT NULL,
    child_id UUID NOT NULL,
    CONSTRAINT pk_letter_child PRIMARY KEY (letter_id, child_id),
    CONSTRAINT fk_letter_child_letter_id FOREIGN KEY(letter_id) REFERENCES letter (id),
    CONSTRAINT fk_letter_child_child_id FOREIGN KEY(child_id) REFERENCES child (id)
);

CREATE INDEX ix_letter_child_child_id ON letter_child (child_id);

CREATE TABLE task (
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    once BYTEA NOT NULL,
    staff_id UUID,
    administration TEXT,
    child_id UUID,
    case_id UUID,
    letter_id UUID,
    made_at TIMESTAMP WITH TIME ZONE NOT NULL,
    due DATE,
    done_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_task PRIMARY KEY (id),
    CONSTRAINT fk_task_staff_id FOREIGN KEY(staff_id) REFERENCES staff (id),
    CONSTRAINT fk_task_child_id FOREIGN KEY(child_id) REFERENCES child (id),
    CONSTRAINT fk_task_case_id FOREIGN KEY(case_id) REFERENCES case_index (id) ON DELETE CASCADE,
    CONSTRAINT fk_task_letter_id FOREIGN KEY(letter_id) REFERENCES letter (id)
);

CREATE UNIQUE INDEX uq_task_once ON task (once);
