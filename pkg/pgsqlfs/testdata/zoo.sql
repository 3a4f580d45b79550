-- A schema with one of everything that PostgreSQL 15 keeps in a database, and
-- values at the ends of their ranges.
ALTER DATABASE zoo SET work_mem = '9MB';
ALTER ROLE owner IN DATABASE zoo SET search_path = 'odd "schema"', public;
ALTER DATABASE zoo CONNECTION LIMIT 50;
COMMENT ON DATABASE zoo IS E'it''s a\nzoo';
REVOKE CONNECT ON DATABASE zoo FROM PUBLIC;
GRANT CONNECT ON DATABASE zoo TO "odd ""role""";
ALTER SCHEMA public OWNER TO owner;
GRANT CREATE ON SCHEMA public TO "odd ""role""";

CREATE SCHEMA "odd ""schema""" AUTHORIZATION "odd ""role""";
CREATE SCHEMA empty;
COMMENT ON SCHEMA empty IS 'nothing here';
CREATE EXTENSION hstore;
CREATE EXTENSION citext SCHEMA "odd ""schema""";
CREATE EXTENSION "uuid-ossp";

CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE COLLATION german (provider = icu, locale = 'de-DE-x-icu');
CREATE TYPE floatrange AS RANGE (subtype = float8);

CREATE TABLE numbers (i2 int2, i4 int4, i8 int8, n numeric, f4 float4, f8 float8, m money, o oid);
INSERT INTO numbers VALUES
	(-32768, -2147483648, -9223372036854775808, 'NaN', '-Infinity', 'NaN', '-92233720368547758.08', 4294967295),
	(32767, 2147483647, 9223372036854775807, 1e131071, 3.4028235e38, 1.7976931348623157e308, '92233720368547758.07', 0),
	(0, 0, 0, 0.000000000000000000000000000000000001, 1e-45, 5e-324, 0, 1),
	(NULL, NULL, NULL, 'Infinity', '-0', '-0', NULL, NULL);
CREATE TABLE texts (id serial PRIMARY KEY, t text, v varchar(10), c char(5), n name, ci "odd ""schema""".citext, h hstore, m mood, p pair);
INSERT INTO texts (t, v, c, n, ci, h, m, p) VALUES
	('', '', '', '', '', '', 'sad', (1, NULL)),
	(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	(E'\\N', E'\\.', E'\t\n\r\b', 'x', E'\v\f\\', 'a=>NULL, "b c"=>"d\"e"', 'it''s ok', (2, 'a,"b)')),
	((SELECT string_agg(chr(g), '') FROM generate_series(1, 3000) g), 'é', '日本', '🐘', 'Ä', NULL, 'happy', NULL),
	(repeat('long line ', 300000), NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE bytes (b bytea, bits bit(3), vb bit varying);
INSERT INTO bytes SELECT string_agg(set_byte('\x00', 0, g), '')::bytea, B'101', B'' FROM generate_series(0, 255) g;
CREATE TABLE times (d date, t time, tz timetz, ts timestamp, tstz timestamptz, i interval);
INSERT INTO times VALUES
	('4713-01-01 BC', '00:00', '00:00+15:59', '4713-01-01 BC', '4713-01-02 BC', '-178000000 years'),
	('5874897-12-31', '24:00', '24:00-15:59', '294276-12-31 23:59:59.999999', '294276-12-31', '178000000 years'),
	('infinity', NULL, NULL, '-infinity', 'infinity', '1 mon -1 day 00:00:00.000001');
CREATE TABLE others (u uuid DEFAULT uuid_generate_v4(), j json, jb jsonb, x xml, a int[][], ap pair[], r int4range, mr int4multirange, fr floatrange,
	inet inet, cidr cidr, mac macaddr, mac8 macaddr8, pt point, ln line, ls lseg, bx box, pa path, pg polygon, ci circle, ts tsvector, tq tsquery, b boolean);
INSERT INTO others VALUES ('00000000-0000-0000-0000-000000000000', '{"a": 1, "a": 2}', '{"a":[null,1.50,"\u00e9"]}', '<a>&amp;</a>', '[0:1][-1:0]={{1,2},{3,NULL}}',
	ARRAY[(1,'x')::pair, NULL], '(,5)', '{[1,3),[5,7)}', '[1.5,)', '::1/128', '10/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', '(1e300,-0)', '{1,2,3}',
	'[(0,0),(1,1)]', '(1,1),(0,0)', '[(0,0),(1,1)]', '((0,0),(1,1),(1,0))', '<(0,0),1>', 'a:1A b:2', 'a & !b', true);

CREATE TABLE parents (id int GENERATED ALWAYS AS IDENTITY (START 7) PRIMARY KEY, child int, twice int GENERATED ALWAYS AS (7 * 2) STORED);
CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents DEFERRABLE INITIALLY DEFERRED, q positive DEFAULT 1, EXCLUDE USING gist (int4range(id, id + 1) WITH &&));
ALTER TABLE parents ADD FOREIGN KEY (child) REFERENCES children DEFERRABLE;
COMMENT ON CONSTRAINT children_parent_fkey ON children IS 'up';
BEGIN;
SET CONSTRAINTS ALL DEFERRED;
INSERT INTO parents (child) VALUES (1);
INSERT INTO children VALUES (1, 7);
COMMIT;

CREATE TABLE measures (at date NOT NULL, v int) PARTITION BY RANGE (at);
CREATE TABLE measures_old PARTITION OF measures FOR VALUES FROM (MINVALUE) TO ('2020-01-01') PARTITION BY LIST (v);
CREATE TABLE measures_old_1 PARTITION OF measures_old FOR VALUES IN (1);
CREATE TABLE measures_rest PARTITION OF measures DEFAULT;
INSERT INTO measures VALUES ('2019-01-01', 1), ('2021-01-01', 2);
CREATE INDEX ON measures (v);
CREATE TABLE base (a int);
CREATE TABLE derived (b int) INHERITS (base);
INSERT INTO derived VALUES (1, 2);
CREATE UNLOGGED TABLE unlogged AS SELECT 1 AS i;

CREATE TABLE "odd ""schema"""."Odd ""table"" /.. % é" ("a ""col""" int, dropped int, "select" text COLLATE german);
ALTER TABLE "odd ""schema"""."Odd ""table"" /.. % é" DROP COLUMN dropped;
INSERT INTO "odd ""schema"""."Odd ""table"" /.. % é" VALUES (1, 'ä'), (2, 'z');
ALTER TABLE "odd ""schema"""."Odd ""table"" /.. % é" OWNER TO "odd ""role""";
COMMENT ON COLUMN "odd ""schema"""."Odd ""table"" /.. % é"."a ""col""" IS 'a column';

CREATE VIEW z_first AS SELECT i4, i8 FROM numbers;
CREATE VIEW a_second AS SELECT i4 FROM z_first WITH LOCAL CHECK OPTION;
CREATE MATERIALIZED VIEW matter AS SELECT count(*) FROM a_second;
CREATE UNIQUE INDEX ON matter (count);
CREATE MATERIALIZED VIEW unpopulated AS SELECT 1 AS i WITH NO DATA;

CREATE FUNCTION body() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
	NEW.v := NEW.v + 1;
	RETURN NEW;
END
/* These are no commands:
COPY public.t (a) FROM '$$PATH$$/1.dat';
\connect template1
*/
$body$;
CREATE FUNCTION standard(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql RETURN a + b;
CREATE PROCEDURE proc() LANGUAGE sql AS 'DELETE FROM base';
CREATE AGGREGATE product (int) (sfunc = int4mul, stype = int, initcond = 1);
CREATE OPERATOR |+| (leftarg = int, rightarg = int, function = standard);
CREATE CAST (int AS hstore) WITH INOUT;
CREATE TRIGGER t BEFORE INSERT ON measures FOR EACH ROW EXECUTE FUNCTION body();
CREATE RULE r AS ON DELETE TO base DO INSTEAD NOTHING;
CREATE POLICY p ON base USING (a > 0);
ALTER TABLE base ENABLE ROW LEVEL SECURITY;
CREATE STATISTICS stats ON i4, i8 FROM numbers;
CREATE INDEX expression ON texts (left(lower(t), 10)) WHERE id > 2;
CREATE SEQUENCE counter AS smallint INCREMENT -3 MINVALUE -300 CYCLE OWNED BY base.a;
SELECT nextval('counter'), nextval('counter');
SELECT setval('texts_id_seq', 1000, false);
CREATE PUBLICATION pub FOR TABLE texts;
CREATE TEXT SEARCH CONFIGURATION conf (COPY = german);
CREATE FOREIGN DATA WRAPPER wrapper;
CREATE SERVER remote FOREIGN DATA WRAPPER wrapper OPTIONS (host 'x');
CREATE FOREIGN TABLE far (i int) SERVER remote;
CREATE USER MAPPING FOR owner SERVER remote OPTIONS (password 'p');
CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER ddl ON ddl_command_start EXECUTE FUNCTION on_ddl();
ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA public GRANT SELECT ON TABLES TO "odd ""role""";
GRANT SELECT (i4), UPDATE (i8) ON numbers TO owner WITH GRANT OPTION;
ALTER TABLE texts OWNER TO owner;

SELECT lo_from_bytea(4711, (SELECT string_agg(set_byte('\x00', 0, g), '')::bytea FROM generate_series(0, 255) g));
SELECT lo_from_bytea(4712, ''), lo_from_bytea(4713, decode(repeat('00ff', 100000), 'hex'));
COMMENT ON LARGE OBJECT 4711 IS 'all bytes';
ALTER LARGE OBJECT 4711 OWNER TO owner;
GRANT SELECT ON LARGE OBJECT 4713 TO "odd ""role""";
