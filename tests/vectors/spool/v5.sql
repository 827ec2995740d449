SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE FUNCTION public.acts_only_grow() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'what was done stays on record'; END $$;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.acts (
    number bigint NOT NULL,
    at bigint NOT NULL,
    who text NOT NULL,
    what text NOT NULL,
    why text NOT NULL,
    entry_id text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL,
    trace_id text NOT NULL,
    reverse_path text NOT NULL,
    recipients text NOT NULL,
    length bigint NOT NULL,
    detail text,
    previous text
);
CREATE SEQUENCE public.acts_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.acts_number_seq OWNED BY public.acts.number;
CREATE TABLE public.bodies (
    number bigint NOT NULL,
    octets bytea NOT NULL
);
ALTER TABLE ONLY public.bodies ALTER COLUMN octets SET STORAGE EXTERNAL;
CREATE TABLE public.chunks (
    number bigint NOT NULL,
    "position" integer NOT NULL,
    octets bytea NOT NULL
);
ALTER TABLE ONLY public.chunks ALTER COLUMN octets SET STORAGE EXTERNAL;
CREATE TABLE public.commits (
    mark text NOT NULL,
    made_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
CREATE TABLE public.entries (
    number bigint NOT NULL,
    entry_id text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL,
    claimed_by text,
    next_attempt_at bigint NOT NULL,
    received_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    attempts bigint NOT NULL,
    dot_sent bigint NOT NULL,
    replies bigint NOT NULL,
    hop text NOT NULL,
    reason text NOT NULL,
    direction text NOT NULL,
    trace_id text NOT NULL,
    answered_for bigint NOT NULL,
    reverse_local text,
    reverse_domain text,
    eight_bit bigint NOT NULL,
    smtputf8 bigint NOT NULL,
    ret text,
    envid text,
    length bigint NOT NULL,
    in_file bigint NOT NULL,
    origin_listener text,
    origin_login text,
    origin_client text,
    frozen_at bigint,
    warned_at bigint,
    noticed_at bigint,
    turn_of text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C"
);
CREATE SEQUENCE public.entries_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.entries_number_seq OWNED BY public.entries.number;
CREATE TABLE public.gazette (
    number bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    node text NOT NULL,
    who text NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    body text NOT NULL
);
CREATE TABLE public.owners (
    token text NOT NULL,
    node text NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    said text
);
CREATE TABLE public.recipients (
    number bigint NOT NULL,
    "position" bigint NOT NULL,
    local text NOT NULL,
    domain text NOT NULL,
    notify text,
    orcpt text,
    state text NOT NULL,
    reply text
);
CREATE TABLE public.spool_version (
    version integer NOT NULL
);
ALTER TABLE ONLY public.acts ALTER COLUMN number SET DEFAULT nextval('public.acts_number_seq'::regclass);
ALTER TABLE ONLY public.entries ALTER COLUMN number SET DEFAULT nextval('public.entries_number_seq'::regclass);
INSERT INTO public.acts VALUES (1, 1787304600123457, 'lan', 'release', 'đã duyệt', 'held2', 'held', 'trace', 'van-thu@so-noi-vu.example', '["lan@xa.example", "minh@xa.example"]', 101, NULL, NULL);
INSERT INTO public.acts VALUES (2, 1787304600123457, 'minh (sudo: lan)', 'delete', 'thư rác', 'held3', 'held', 'trace', 'van-thu@so-noi-vu.example', '["lan@xa.example", "minh@xa.example"]', 101, NULL, 'a5b3f4bd79b28330ae2fec08de3792a837374923f6faca21947202553fad3040');
INSERT INTO public.acts VALUES (3, 1787308200123457, 'lan', 'freeze', 'chờ hỏi', 'frozen1', 'deliver', 'trace', 'van-thu@so-noi-vu.example', '["lan@xa.example", "minh@xa.example"]', 101, NULL, '0e1ef159e5ddb8ca81cc23ecee14d1724ae603c444bfcc4c501be419010b07d9');
INSERT INTO public.acts VALUES (4, 1787308200123457, 'lan', 'freeze', 'nhầm', 'thawed1', 'deliver', 'trace', 'van-thu@so-noi-vu.example', '["lan@xa.example", "minh@xa.example"]', 101, NULL, 'e25efa5f380194a8c868771d9c064df0ee2c45ae734df53d6233f6cdfeb15440');
INSERT INTO public.acts VALUES (5, 1787311800123457, 'lan', 'thaw', '', 'thawed1', 'deliver', 'trace', 'van-thu@so-noi-vu.example', '["lan@xa.example", "minh@xa.example"]', 101, NULL, '2f78c8520fde801702d8c54fcc1a5847590e7588960e194d8fc01b398950f741');
INSERT INTO public.bodies VALUES (1, '\x5375626a6563743a20780d0a0d0a00ff0d0a');
INSERT INTO public.bodies VALUES (2, '\x');
INSERT INTO public.bodies VALUES (3, '\x46726f6d3a204c616e203c6c616e2e686f616e6740736f7974652e736f6e676c616d2e6578616d706c653e0d0a5375626a6563743a203d3f7574662d383f713f433d43333d42346e675f763d43343d38336e3f3d0d0a0d0a4ee1bb99692064756e672e0d0a');
INSERT INTO public.bodies VALUES (4, '\x46726f6d3a204c616e203c6c616e2e686f616e6740736f7974652e736f6e676c616d2e6578616d706c653e0d0a5375626a6563743a203d3f7574662d383f713f433d43333d42346e675f763d43343d38336e3f3d0d0a0d0a4ee1bb99692064756e672e0d0a');
INSERT INTO public.bodies VALUES (5, '\x46726f6d3a204c616e203c6c616e2e686f616e6740736f7974652e736f6e676c616d2e6578616d706c653e0d0a5375626a6563743a203d3f7574662d383f713f433d43333d42346e675f763d43343d38336e3f3d0d0a0d0a4ee1bb99692064756e672e0d0a');
INSERT INTO public.bodies VALUES (7, '\x46726f6d3a204c616e203c6c616e2e686f616e6740736f7974652e736f6e676c616d2e6578616d706c653e0d0a5375626a6563743a203d3f7574662d383f713f433d43333d42346e675f763d43343d38336e3f3d0d0a0d0a4ee1bb99692064756e672e0d0a');
INSERT INTO public.bodies VALUES (8, '\x46726f6d3a204c616e203c6c616e2e686f616e6740736f7974652e736f6e676c616d2e6578616d706c653e0d0a5375626a6563743a203d3f7574662d383f713f433d43333d42346e675f763d43343d38336e3f3d0d0a0d0a4ee1bb99692064756e672e0d0a');
INSERT INTO public.bodies VALUES (9, '\x46726f6d3a204c616e203c6c616e2e686f616e6740736f7974652e736f6e676c616d2e6578616d706c653e0d0a5375626a6563743a203d3f7574662d383f713f433d43333d42346e675f763d43343d38336e3f3d0d0a0d0a4ee1bb99692064756e672e0d0a');
INSERT INTO public.bodies VALUES (10, '\x46726f6d3a204c616e203c6c616e2e686f616e6740736f7974652e736f6e676c616d2e6578616d706c653e0d0a5375626a6563743a203d3f7574662d383f713f433d43333d42346e675f763d43343d38336e3f3d0d0a0d0a4ee1bb99692064756e672e0d0a');
INSERT INTO public.bodies VALUES (11, '\x46726f6d3a204c616e203c6c616e2e686f616e6740736f7974652e736f6e676c616d2e6578616d706c653e0d0a5375626a6563743a203d3f7574662d383f713f433d43333d42346e675f763d43343d38336e3f3d0d0a0d0a4ee1bb99692064756e672e0d0a');
INSERT INTO public.bodies VALUES (12, '\x46726f6d3a204c616e203c6c616e2e686f616e6740736f7974652e736f6e676c616d2e6578616d706c653e0d0a5375626a6563743a203d3f7574662d383f713f433d43333d42346e675f763d43343d38336e3f3d0d0a0d0a4ee1bb99692064756e672e0d0a');
INSERT INTO public.commits VALUES ('0d4b43b85d64a57a8c15af76', '2026-11-25 23:12:25.975734+00');
INSERT INTO public.commits VALUES ('62c3d63fcb84e11014c447bb', '2026-11-25 23:12:26.2449+00');
INSERT INTO public.commits VALUES ('809df5746c4e3200a5f0b8ef', '2026-11-25 23:12:26.356063+00');
INSERT INTO public.commits VALUES ('9feed4686bae66ee10be3e77', '2026-11-25 23:12:27.788279+00');
INSERT INTO public.entries VALUES (2, 'b', 'deliver', NULL, 1787304600123457, 1787304600123457, 1787304600123457, 0, 0, 1, '', '', 'outbound', '', 1, NULL, NULL, 0, 0, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, '');
INSERT INTO public.entries VALUES (1, 'Rich_entry-1', 'deliver', NULL, 1787304600123458, 1787304600123457, 1787736601123456, 7, 1, 4, 'hop-2', 'hop_down không kết nối được', 'inbound', '0123abcd', 0, 'Văn.Thư', 'SỞ.example', 1, 1, 'HDRS', 'QQ+2B314159', 18, 0, NULL, NULL, NULL, NULL, NULL, NULL, 'sở.example');
INSERT INTO public.entries VALUES (3, 'usual1', 'deliver', NULL, 1787304600123457, 1787304600123457, 1787736600123457, 0, 0, 0, 'hop', '', 'outbound', 'trace', 1, 'van-thu', 'so-noi-vu.example', 0, 0, NULL, NULL, 101, 0, NULL, NULL, NULL, NULL, NULL, NULL, 'so-noi-vu.example');
INSERT INTO public.entries VALUES (4, 'held1', 'held', NULL, 1787304600123457, 1787304600123457, 1787736600123457, 0, 0, 0, '', 'no_key không có khóa', 'outbound', 'trace', 1, 'van-thu', 'so-noi-vu.example', 0, 0, NULL, NULL, 101, 0, NULL, NULL, NULL, NULL, NULL, NULL, 'so-noi-vu.example');
INSERT INTO public.entries VALUES (8, 'late1', 'deliver', NULL, 1787322600123457, 1787304600123457, 1787736600123457, 9, 0, 0, 'hop', '', 'outbound', 'trace', 1, 'van-thu', 'so-noi-vu.example', 0, 0, NULL, NULL, 101, 0, NULL, NULL, NULL, NULL, 1787319000123457, NULL, 'so-noi-vu.example');
INSERT INTO public.entries VALUES (9, 'tosign1', 'to_sign', NULL, 1787304600123457, 1787304600123457, 1787736600123457, 0, 0, 0, '', '', 'outbound', 'trace', 1, 'van-thu', 'so-noi-vu.example', 0, 0, NULL, NULL, 101, 0, NULL, NULL, NULL, NULL, NULL, NULL, 'so-noi-vu.example');
INSERT INTO public.entries VALUES (5, 'held2', 'released', NULL, 1787304600123457, 1787304600123457, 1787736600123457, 0, 0, 0, '', 'no_key không có khóa', 'outbound', 'trace', 1, 'van-thu', 'so-noi-vu.example', 0, 0, NULL, NULL, 101, 0, NULL, NULL, NULL, NULL, NULL, NULL, 'so-noi-vu.example');
INSERT INTO public.entries VALUES (10, 'frozen1', 'deliver', NULL, 1787304600123457, 1787304600123457, 1787736600123457, 0, 0, 0, 'hop', '', 'outbound', 'trace', 1, 'van-thu', 'so-noi-vu.example', 0, 0, NULL, NULL, 101, 0, NULL, NULL, NULL, 1787308200123457, NULL, NULL, 'so-noi-vu.example');
INSERT INTO public.entries VALUES (11, 'thawed1', 'deliver', NULL, 1787311800123457, 1787304600123457, 1787740200123457, 0, 0, 0, 'hop', '', 'outbound', 'trace', 1, 'van-thu', 'so-noi-vu.example', 0, 0, NULL, NULL, 101, 0, NULL, NULL, NULL, NULL, NULL, NULL, 'so-noi-vu.example');
INSERT INTO public.entries VALUES (7, 'quarantined1', 'quarantined', NULL, 1787304600123457, 1787304600123457, 1787736600123457, 0, 0, 0, '', 'refused theo quy định', 'outbound', 'trace', 1, 'van-thu', 'so-noi-vu.example', 0, 0, NULL, NULL, 101, 0, NULL, NULL, NULL, NULL, NULL, 1789464600123457, 'so-noi-vu.example');
INSERT INTO public.entries VALUES (12, 'claimed1', 'deliver', '930dbcffd8b59eef5713ce77', 1787301000123457, 1787304600123457, 1787736600123457, 0, 0, 0, 'hop', '', 'outbound', 'trace', 1, 'van-thu', 'so-noi-vu.example', 0, 0, NULL, NULL, 101, 0, NULL, NULL, NULL, NULL, NULL, NULL, 'so-noi-vu.example');
INSERT INTO public.gazette VALUES (1, '2026-11-25 23:12:26.358868+00', 'vm', 'lan', 'key', 'so-y-te', '{"label": "so-y-te", "at": "2026-08-21T09:30:00.123457+00:00", "who": "lan", "reason": "thẻ bị mất", "action": "suspend"}');
INSERT INTO public.owners VALUES ('930dbcffd8b59eef5713ce77', 'vm/16523', '2026-11-25 23:12:27.786826+00', NULL);
INSERT INTO public.recipients VALUES (1, 0, 'lan', 'xa.example', NULL, NULL, 'ready', NULL);
INSERT INTO public.recipients VALUES (1, 1, 'lan', 'xa.example', '', 'rfc822;lan+2Bx@xa.example', 'sent', '[250, "2.1.5", ["ok"]]');
INSERT INTO public.recipients VALUES (1, 2, '"a b"', '[192.0.2.1]', 'DELAY,FAILURE', NULL, 'ready', '[451, null, ["4 lines", "", "Xin \"chờ\" \\ 1 chút", "😀"]]');
INSERT INTO public.recipients VALUES (1, 3, 'người', 'tỉnh.example', 'DELAY,FAILURE,SUCCESS', 'utf-8;người@tỉnh.example', 'failed', '[550, "5.1.1", ["no"]]');
INSERT INTO public.recipients VALUES (2, 0, 'a', 'b', NULL, NULL, 'ready', NULL);
INSERT INTO public.recipients VALUES (3, 0, 'lan', 'xa.example', NULL, NULL, 'ready', NULL);
INSERT INTO public.recipients VALUES (3, 1, 'minh', 'xa.example', NULL, NULL, 'ready', NULL);
INSERT INTO public.recipients VALUES (4, 0, 'lan', 'xa.example', NULL, NULL, 'ready', NULL);
INSERT INTO public.recipients VALUES (4, 1, 'minh', 'xa.example', NULL, NULL, 'ready', NULL);
INSERT INTO public.recipients VALUES (5, 0, 'lan', 'xa.example', NULL, NULL, 'ready', NULL);
INSERT INTO public.recipients VALUES (5, 1, 'minh', 'xa.example', NULL, NULL, 'ready', NULL);
INSERT INTO public.recipients VALUES (7, 0, 'lan', 'xa.example', NULL, NULL, 'ready', NULL);
INSERT INTO public.recipients VALUES (7, 1, 'minh', 'xa.example', NULL, NULL, 'ready', NULL);
INSERT INTO public.recipients VALUES (8, 0, 'lan', 'xa.example', NULL, NULL, 'ready', NULL);
INSERT INTO public.recipients VALUES (8, 1, 'minh', 'xa.example', NULL, NULL, 'ready', NULL);
INSERT INTO public.recipients VALUES (9, 0, 'lan', 'xa.example', NULL, NULL, 'ready', NULL);
INSERT INTO public.recipients VALUES (9, 1, 'minh', 'xa.example', NULL, NULL, 'ready', NULL);
INSERT INTO public.recipients VALUES (10, 0, 'lan', 'xa.example', NULL, NULL, 'ready', NULL);
INSERT INTO public.recipients VALUES (10, 1, 'minh', 'xa.example', NULL, NULL, 'ready', NULL);
INSERT INTO public.recipients VALUES (11, 0, 'lan', 'xa.example', NULL, NULL, 'ready', NULL);
INSERT INTO public.recipients VALUES (11, 1, 'minh', 'xa.example', NULL, NULL, 'ready', NULL);
INSERT INTO public.recipients VALUES (12, 0, 'lan', 'xa.example', NULL, NULL, 'ready', NULL);
INSERT INTO public.recipients VALUES (12, 1, 'minh', 'xa.example', NULL, NULL, 'ready', NULL);
INSERT INTO public.spool_version VALUES (5);
SELECT pg_catalog.setval('public.acts_number_seq', 5, true);
SELECT pg_catalog.setval('public.entries_number_seq', 12, true);
ALTER TABLE ONLY public.acts
    ADD CONSTRAINT acts_pkey PRIMARY KEY (number);
ALTER TABLE ONLY public.bodies
    ADD CONSTRAINT bodies_pkey PRIMARY KEY (number);
ALTER TABLE ONLY public.chunks
    ADD CONSTRAINT chunks_pkey PRIMARY KEY (number, "position");
ALTER TABLE ONLY public.commits
    ADD CONSTRAINT commits_pkey PRIMARY KEY (mark);
ALTER TABLE ONLY public.entries
    ADD CONSTRAINT entries_entry_id_key UNIQUE (entry_id);
ALTER TABLE ONLY public.entries
    ADD CONSTRAINT entries_pkey PRIMARY KEY (number);
ALTER TABLE ONLY public.gazette
    ADD CONSTRAINT gazette_pkey PRIMARY KEY (number);
ALTER TABLE ONLY public.owners
    ADD CONSTRAINT owners_pkey PRIMARY KEY (token);
ALTER TABLE ONLY public.recipients
    ADD CONSTRAINT recipients_pkey PRIMARY KEY (number, "position");
CREATE INDEX entries_again ON public.entries USING btree (next_attempt_at, entry_id) WHERE ((kind = ANY (ARRAY['released'::text, 'to_sign'::text])) AND (claimed_by IS NULL) AND (frozen_at IS NULL));
CREATE INDEX entries_claimed ON public.entries USING btree (claimed_by) WHERE (claimed_by IS NOT NULL);
CREATE INDEX entries_due ON public.entries USING btree (next_attempt_at, entry_id) WHERE ((kind = 'deliver'::text) AND (claimed_by IS NULL) AND (frozen_at IS NULL));
CREATE INDEX entries_turns ON public.entries USING btree (hop, turn_of, next_attempt_at, entry_id) WHERE ((kind = 'deliver'::text) AND (claimed_by IS NULL) AND (COALESCE(frozen_at, (0)::bigint) = 0));
CREATE TRIGGER acts_only_grow BEFORE DELETE OR UPDATE OR TRUNCATE ON public.acts FOR EACH STATEMENT EXECUTE FUNCTION public.acts_only_grow();
CREATE TRIGGER gazette_only_grows BEFORE DELETE OR UPDATE OR TRUNCATE ON public.gazette FOR EACH STATEMENT EXECUTE FUNCTION public.acts_only_grow();
