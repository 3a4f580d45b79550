-- Every kind of thing a MariaDB server can hold, with values at the edges.
create database zoo character set latin1; use zoo;
create sequence sq start with 5 increment by 3; do nextval(sq);
create table gen (a int primary key, b int as (a*2) virtual, c int as (a+1) stored, d int invisible default 7,
  e int default nextval(sq), u uuid, i6 inet6, i4 inet4, check (a > 0));
insert into gen(a,u,i6,i4) values (1,'123e4567-e89b-12d3-a456-426655440000','::1','1.2.3.4'),(2,null,null,null);
create table numbers (t tinyint, tu tinyint unsigned, s smallint, m mediumint, i int, b bigint, bu bigint unsigned zerofill,
  d decimal(65,30), f float, db double, bt bit(64), bo bool, y year);
insert into numbers values
 (-128,0,-32768,-8388608,-2147483648,-9223372036854775808,0,-99999999999999999999999999999999999.999999999999999999999999999999,-0.5,-1.7976931348623157e308,b'0',0,1901),
 (127,255,32767,8388607,2147483647,9223372036854775807,18446744073709551615,99999999999999999999999999999999999.999999999999999999999999999999,1.5,2.2250738585072014e-308,0xffffffffffffffff,1,2155),
 (null,null,null,null,null,null,null,null,null,null,null,null,null);
set sql_mode='';
create table times (d date, t time(6), dt datetime(6), ts timestamp(6) null, z date not null default '0000-00-00');
insert into times values ('0000-00-00','-838:59:59.999999','0000-00-00 00:00:00','1970-01-01 00:00:01','0000-00-00'),
 ('9999-12-31','838:59:59.999999','9999-12-31 23:59:59.999999','2038-01-19 03:14:07.999999','2000-00-00');
create table bytes (id int primary key, b tinyblob, vb varbinary(300), bi binary(4), lb longblob, t text, ut longtext character set utf8mb4,
  u2 text character set ucs2, u16 varchar(50) character set utf16, sj text character set sjis, bg text character set gbk, e enum('x','ý',''), s set('a','b;c'));
insert into bytes values (1,x'000A0D1A275C22FF',x'00',x'','','a\nb\r\n\t\'"\\\0\Z%_','𝄞 naïve 漢字','é漢','𝄞','ソ表','漢\\字','ý','a'),
 (2,'','','','','','','','','','','',''), (3,null,null,null,null,null,null,null,null,null,null,null,null);
set @all = (select group_concat(char(seq using binary) order by seq separator '') from seq_0_to_255);
insert into bytes (id,b,vb,lb,t) values (4,left(@all,255),@all,repeat(@all,5000),convert(@all using latin1));
create table shapes (g geometry, p point, l linestring, po polygon, mp multipoint, gc geometrycollection);
insert into shapes values (point(1,2),point(-1e300,1e-300),st_geomfromtext('LINESTRING(0 0,1 1,2 2)'),st_geomfromtext('POLYGON((0 0,1 0,1 1,0 0))'),null,
 st_geomfromtext('GEOMETRYCOLLECTION(POINT(1 1))'));
create table js (j json, c varchar(20) compressed);
insert into js values ('{"a":"\\u00e9\\n\\"","b":[1,2,{}]}','x');
create table `we/ird``na me` (`a``b` int comment 'x;\ny', `select` varchar(10) default 'a;b''c') comment='c;\nd -- e';
insert into `we/ird``na me` values (1,');');
create table `.` (a int); insert into `.` values (46);
create table `..` (a int); insert into `..` values (4646);
create table `%41` (a int); insert into `%41` values (41);
create table A (a int); create table a (a int); insert into A values (1); insert into a values (2);
create table `жжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжж` (`ключ` int, key(`ключ`));
create table hist (a int primary key, b int) with system versioning; insert into hist values (1,1),(2,2); update hist set b=3; delete from hist where a=2;
create table ai (id bigint unsigned auto_increment primary key, v varchar(10)); insert into ai values (5,'x'); set sql_mode='NO_AUTO_VALUE_ON_ZERO'; insert into ai values (0,'zero'); set sql_mode='';
create table my (id int primary key, v text, fulltext(v)) engine=MyISAM; insert into my values (1,'some words'),(2,'other words');
create table ar (id int primary key, v text) engine=Aria; insert into ar values (1,'x');
create table me (id int) engine=MEMORY; insert into me values (1);
create table part (id int, y int, primary key (id, y)) partition by range (y) (partition p0 values less than (2000), partition p1 values less than maxvalue); insert into part values (1,1999),(2,2001);
create table fk1 (id int primary key, o int); create table fk2 (id int primary key, o int, foreign key (o) references fk1(id));
alter table fk1 add foreign key (o) references fk2(id);
set foreign_key_checks=0; insert into fk1 values (1,1); insert into fk2 values (1,1); set foreign_key_checks=1;
create table big (id int primary key, b longblob); insert into big values (1, repeat(x'00ff', 600000)), (2, 'x'), (3, repeat('y', 3000000));
create table many (id int primary key, v varchar(200)); insert into many select seq, repeat(char(65+seq%26), 190) from seq_1_to_20000;
create view v1 as select a from gen; create view a_on_v1 as select a, 'x;\ny' s from v1; create view zz as select * from a_on_v1; create view b_on_zz as select * from zz;
create definer='no body'@'%' sql security invoker view inv as select 1 as `o``ne`;
set names latin1; create view lat as select 'é' as x; set names utf8mb4;
create table gone (a int); create view broken as select * from gone; drop table gone;
create table log (what varchar(50));
delimiter ;;
create trigger tr before insert on gen for each row begin
-- comment; in it
set new.d = 5; /* ;; */
end;;
create trigger tr2 after update on `we/ird``na me` for each row insert into log values ('up; date');;
set sql_mode='NO_BACKSLASH_ESCAPES,ANSI_QUOTES';;
create trigger tr3 before delete on log for each row set @x = '\';;
set sql_mode='';;
create procedure `p;;` () comment 'it''s; so' begin select 1; 
-- odd
# DELIMITER x
DO ';';
end;;
create function f(a int) returns int deterministic return a+1;;
create definer='PROCEDURE'@'VIEW' function `b``q`() returns varchar(10) charset utf8mb4 return 'é';;
create event ev on schedule every 1 day starts '2030-01-01 00:00:00' comment ';' do begin delete from gen where a=100; end;;
create event ev2 on schedule every 1 hour starts '2030-01-01 00:00:00' disable do set @x=1;;
set sql_mode=oracle;;
create package pk as procedure p1; end;;
create package body pk as procedure p1 as begin null; end; end;;
delimiter ;
set sql_mode='';
create view usesf as select f(a) x from gen;
create database `d/b.``x` character set utf8mb4 collate utf8mb4_bin; use `d/b.``x`;
create table t (a int); insert into t values (1);
create view far as select * from zoo.v1;
create database `.` ; create table `.`.`t` (a int);
create database empty;
create user 'u'@'%' identified by 'pw'; grant select on zoo.* to u; grant update(d) on zoo.gen to u; grant execute on procedure zoo.`p;;` to u;
create role r; grant insert on zoo.gen to r; grant r to u; create user 'it''s'@'10.0.0.0/255.0.0.0' identified via unix_socket require ssl;
