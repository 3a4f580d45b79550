-- Recorded of testdata/mysql-zoo.sql: mysqldump 9.7.4 --skip-extended-insert --single-transaction --force --routines --events
-- --hex-blob --no-tablespaces --databases mysql zoo, without most of database mysql.
-- MySQL dump 10.13  Distrib 9.7.4, for Linux (x86_64)
--
-- Host: localhost    Database: mysql
-- ------------------------------------------------------
-- Server version	9.7.4-2

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET @OLD_CHARACTER_SET_RESULTS=@@CHARACTER_SET_RESULTS */;
/*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */;
/*!50503 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!50606 SET @OLD_INNODB_STATS_AUTO_RECALC=@@INNODB_STATS_AUTO_RECALC */;
/*!50606 SET GLOBAL INNODB_STATS_AUTO_RECALC=OFF */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;
SET @MYSQLDUMP_TEMP_LOG_BIN = @@SESSION.SQL_LOG_BIN;
SET @@SESSION.SQL_LOG_BIN= 0;

--
-- GTID state at the beginning of the backup 
--

SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '3791fd94-e767-11f1-bd87-02fc00000001:1-36';

--
-- Current Database: `mysql`
--

CREATE DATABASE /*!32312 IF NOT EXISTS*/ `mysql` /*!40100 DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci */ /*!80016 DEFAULT ENCRYPTION='N' */;

USE `mysql`;

--
-- Table structure for table `db`
--

DROP TABLE IF EXISTS `db`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `db` (
  `Host` char(255) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL DEFAULT '',
  `Db` char(64) COLLATE utf8mb3_bin NOT NULL DEFAULT '',
  `User` char(32) COLLATE utf8mb3_bin NOT NULL DEFAULT '',
  `Select_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Insert_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Update_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Delete_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Create_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Drop_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Grant_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `References_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Index_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Alter_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Create_tmp_table_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Lock_tables_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Create_view_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Show_view_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Create_routine_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Alter_routine_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Execute_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Event_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Trigger_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  PRIMARY KEY (`Host`,`User`,`Db`),
  KEY `User` (`User`)
) /*!50100 TABLESPACE `mysql` */ ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_bin STATS_PERSISTENT=0 ROW_FORMAT=DYNAMIC COMMENT='Database privileges';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `db`
--

INSERT INTO `db` VALUES ('%','zoo','u','Y','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N');
INSERT INTO `db` VALUES ('localhost','performance_schema','mysql.session','Y','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N');
INSERT INTO `db` VALUES ('localhost','sys','mysql.sys','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','Y');

--
-- Table structure for table `global_grants`
--

DROP TABLE IF EXISTS `global_grants`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `global_grants` (
  `USER` char(32) COLLATE utf8mb3_bin NOT NULL DEFAULT '',
  `HOST` char(255) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL DEFAULT '',
  `PRIV` char(32) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT '',
  `WITH_GRANT_OPTION` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  PRIMARY KEY (`USER`,`HOST`,`PRIV`)
) /*!50100 TABLESPACE `mysql` */ ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_bin STATS_PERSISTENT=0 ROW_FORMAT=DYNAMIC COMMENT='Extended global grants';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `global_grants`
--

INSERT INTO `global_grants` VALUES ('u','%','BACKUP_ADMIN','N');

--
-- Dumping data for table `innodb_index_stats`
--

INSERT IGNORE INTO `innodb_index_stats` VALUES ('mysql','component','PRIMARY','2026-11-23 17:56:33','n_diff_pfx01',0,1,'component_id');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('mysql','component','PRIMARY','2026-11-23 17:56:33','n_leaf_pages',1,NULL,'Number of leaf pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('mysql','component','PRIMARY','2026-11-23 17:56:33','size',1,NULL,'Number of pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('sys','sys_config','PRIMARY','2026-11-23 17:56:33','n_diff_pfx01',6,1,'variable');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('sys','sys_config','PRIMARY','2026-11-23 17:56:33','n_leaf_pages',1,NULL,'Number of leaf pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('sys','sys_config','PRIMARY','2026-11-23 17:56:33','size',1,NULL,'Number of pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','bytes','PRIMARY','2026-11-23 18:22:10','n_diff_pfx01',3,1,'id');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','bytes','PRIMARY','2026-11-23 18:22:10','n_leaf_pages',1,NULL,'Number of leaf pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','bytes','PRIMARY','2026-11-23 18:22:10','size',1,NULL,'Number of pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','fk1','PRIMARY','2026-11-23 18:22:10','n_diff_pfx01',0,1,'id');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','fk1','PRIMARY','2026-11-23 18:22:10','n_leaf_pages',1,NULL,'Number of leaf pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','fk1','PRIMARY','2026-11-23 18:22:10','size',1,NULL,'Number of pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','fk2','PRIMARY','2026-11-23 18:22:10','n_diff_pfx01',0,1,'id');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','fk2','PRIMARY','2026-11-23 18:22:10','n_leaf_pages',1,NULL,'Number of leaf pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','fk2','PRIMARY','2026-11-23 18:22:10','size',1,NULL,'Number of pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','fk2','o','2026-11-23 18:22:10','n_diff_pfx01',0,1,'o');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','fk2','o','2026-11-23 18:22:10','n_diff_pfx02',0,1,'o,id');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','fk2','o','2026-11-23 18:22:10','n_leaf_pages',1,NULL,'Number of leaf pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','fk2','o','2026-11-23 18:22:10','size',1,NULL,'Number of pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','gen','PRIMARY','2026-11-23 18:22:10','n_diff_pfx01',2,1,'a');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','gen','PRIMARY','2026-11-23 18:22:10','n_leaf_pages',1,NULL,'Number of leaf pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','gen','PRIMARY','2026-11-23 18:22:10','size',1,NULL,'Number of pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','idx','GEN_CLUST_INDEX','2026-11-23 18:22:10','n_diff_pfx01',2,1,'DB_ROW_ID');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','idx','GEN_CLUST_INDEX','2026-11-23 18:22:10','n_leaf_pages',1,NULL,'Number of leaf pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','idx','GEN_CLUST_INDEX','2026-11-23 18:22:10','size',1,NULL,'Number of pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','idx','des','2026-11-23 18:22:10','n_diff_pfx01',2,1,'a');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','idx','des','2026-11-23 18:22:10','n_diff_pfx02',2,1,'a,s');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','idx','des','2026-11-23 18:22:10','n_diff_pfx03',2,1,'a,s,DB_ROW_ID');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','idx','des','2026-11-23 18:22:10','n_leaf_pages',1,NULL,'Number of leaf pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','idx','des','2026-11-23 18:22:10','size',1,NULL,'Number of pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','idx','fun','2026-11-23 18:22:10','n_diff_pfx01',2,1,'!hidden!fun!0!0');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','idx','fun','2026-11-23 18:22:10','n_diff_pfx02',2,1,'!hidden!fun!0!0,DB_ROW_ID');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','idx','fun','2026-11-23 18:22:10','n_leaf_pages',1,NULL,'Number of leaf pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','idx','fun','2026-11-23 18:22:10','size',1,NULL,'Number of pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','idx','hid','2026-11-23 18:22:10','n_diff_pfx01',2,1,'s');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','idx','hid','2026-11-23 18:22:10','n_diff_pfx02',2,1,'s,DB_ROW_ID');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','idx','hid','2026-11-23 18:22:10','n_leaf_pages',1,NULL,'Number of leaf pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','idx','hid','2026-11-23 18:22:10','size',1,NULL,'Number of pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','idx','multi','2026-11-23 18:22:10','n_diff_pfx01',4,1,'!hidden!multi!0!0');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','idx','multi','2026-11-23 18:22:10','n_diff_pfx02',4,1,'!hidden!multi!0!0,DB_ROW_ID');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','idx','multi','2026-11-23 18:22:10','n_leaf_pages',1,NULL,'Number of leaf pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','idx','multi','2026-11-23 18:22:10','size',1,NULL,'Number of pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','numbers','GEN_CLUST_INDEX','2026-11-23 18:22:10','n_diff_pfx01',3,1,'DB_ROW_ID');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','numbers','GEN_CLUST_INDEX','2026-11-23 18:22:10','n_leaf_pages',1,NULL,'Number of leaf pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','numbers','GEN_CLUST_INDEX','2026-11-23 18:22:10','size',1,NULL,'Number of pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','part#p#p0','PRIMARY','2026-11-23 18:22:10','n_diff_pfx01',0,1,'id');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','part#p#p0','PRIMARY','2026-11-23 18:22:10','n_diff_pfx02',0,1,'id,y');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','part#p#p0','PRIMARY','2026-11-23 18:22:10','n_leaf_pages',1,NULL,'Number of leaf pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','part#p#p0','PRIMARY','2026-11-23 18:22:10','size',1,NULL,'Number of pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','part#p#p1','PRIMARY','2026-11-23 18:22:10','n_diff_pfx01',0,1,'id');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','part#p#p1','PRIMARY','2026-11-23 18:22:10','n_diff_pfx02',0,1,'id,y');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','part#p#p1','PRIMARY','2026-11-23 18:22:10','n_leaf_pages',1,NULL,'Number of leaf pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','part#p#p1','PRIMARY','2026-11-23 18:22:10','size',1,NULL,'Number of pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','part#p#p2','PRIMARY','2026-11-23 18:22:10','n_diff_pfx01',0,1,'id');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','part#p#p2','PRIMARY','2026-11-23 18:22:10','n_diff_pfx02',0,1,'id,y');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','part#p#p2','PRIMARY','2026-11-23 18:22:10','n_leaf_pages',1,NULL,'Number of leaf pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','part#p#p2','PRIMARY','2026-11-23 18:22:10','size',1,NULL,'Number of pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','places','PRIMARY','2026-11-23 18:22:10','n_diff_pfx01',0,1,'id');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','places','PRIMARY','2026-11-23 18:22:10','n_leaf_pages',1,NULL,'Number of leaf pages in the index');
INSERT IGNORE INTO `innodb_index_stats` VALUES ('zoo','places','PRIMARY','2026-11-23 18:22:10','size',1,NULL,'Number of pages in the index');

--
-- Dumping data for table `innodb_table_stats`
--

INSERT IGNORE INTO `innodb_table_stats` VALUES ('mysql','component','2026-11-23 17:56:33',0,1,0);
INSERT IGNORE INTO `innodb_table_stats` VALUES ('sys','sys_config','2026-11-23 17:56:33',6,1,0);
INSERT IGNORE INTO `innodb_table_stats` VALUES ('zoo','bytes','2026-11-23 18:22:10',3,1,0);
INSERT IGNORE INTO `innodb_table_stats` VALUES ('zoo','fk1','2026-11-23 18:22:10',0,1,0);
INSERT IGNORE INTO `innodb_table_stats` VALUES ('zoo','fk2','2026-11-23 18:22:10',0,1,1);
INSERT IGNORE INTO `innodb_table_stats` VALUES ('zoo','gen','2026-11-23 18:22:10',2,1,0);
INSERT IGNORE INTO `innodb_table_stats` VALUES ('zoo','idx','2026-11-23 18:22:10',2,1,4);
INSERT IGNORE INTO `innodb_table_stats` VALUES ('zoo','numbers','2026-11-23 18:22:10',3,1,0);
INSERT IGNORE INTO `innodb_table_stats` VALUES ('zoo','part#p#p0','2026-11-23 18:22:10',0,1,0);
INSERT IGNORE INTO `innodb_table_stats` VALUES ('zoo','part#p#p1','2026-11-23 18:22:10',0,1,0);
INSERT IGNORE INTO `innodb_table_stats` VALUES ('zoo','part#p#p2','2026-11-23 18:22:10',0,1,0);
INSERT IGNORE INTO `innodb_table_stats` VALUES ('zoo','places','2026-11-23 18:22:10',0,1,1);

--
-- Table structure for table `role_edges`
--

DROP TABLE IF EXISTS `role_edges`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `role_edges` (
  `FROM_HOST` char(255) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL DEFAULT '',
  `FROM_USER` char(32) COLLATE utf8mb3_bin NOT NULL DEFAULT '',
  `TO_HOST` char(255) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL DEFAULT '',
  `TO_USER` char(32) COLLATE utf8mb3_bin NOT NULL DEFAULT '',
  `WITH_ADMIN_OPTION` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  PRIMARY KEY (`FROM_HOST`,`FROM_USER`,`TO_HOST`,`TO_USER`)
) /*!50100 TABLESPACE `mysql` */ ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_bin STATS_PERSISTENT=0 ROW_FORMAT=DYNAMIC COMMENT='Role hierarchy and role grants';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `role_edges`
--

INSERT INTO `role_edges` VALUES ('%','r','%','u','N');

--
-- Table structure for table `tables_priv`
--

DROP TABLE IF EXISTS `tables_priv`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `tables_priv` (
  `Host` char(255) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL DEFAULT '',
  `Db` char(64) COLLATE utf8mb3_bin NOT NULL DEFAULT '',
  `User` char(32) COLLATE utf8mb3_bin NOT NULL DEFAULT '',
  `Table_name` char(64) COLLATE utf8mb3_bin NOT NULL DEFAULT '',
  `Grantor` varchar(288) COLLATE utf8mb3_bin NOT NULL DEFAULT '',
  `Timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `Table_priv` set('Select','Insert','Update','Delete','Create','Drop','Grant','References','Index','Alter','Create View','Show view','Trigger') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT '',
  `Column_priv` set('Select','Insert','Update','References') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT '',
  PRIMARY KEY (`Host`,`User`,`Db`,`Table_name`),
  KEY `Grantor` (`Grantor`)
) /*!50100 TABLESPACE `mysql` */ ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_bin STATS_PERSISTENT=0 ROW_FORMAT=DYNAMIC COMMENT='Table privileges';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `tables_priv`
--

INSERT INTO `tables_priv` VALUES ('%','zoo','r','gen','root@localhost','2026-11-23 18:22:10','','Select');
INSERT INTO `tables_priv` VALUES ('localhost','mysql','mysql.session','user','boot@','2026-11-23 17:56:33','Select','');
INSERT INTO `tables_priv` VALUES ('localhost','sys','mysql.sys','sys_config','root@localhost','2026-11-23 17:56:33','Select','');

--
-- Table structure for table `user`
--

DROP TABLE IF EXISTS `user`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `user` (
  `Host` char(255) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL DEFAULT '',
  `User` char(32) COLLATE utf8mb3_bin NOT NULL DEFAULT '',
  `Select_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Insert_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Update_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Delete_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Create_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Drop_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Reload_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Shutdown_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Process_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `File_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Grant_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `References_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Index_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Alter_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Show_db_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Super_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Create_tmp_table_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Lock_tables_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Execute_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Repl_slave_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Repl_client_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Create_view_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Show_view_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Create_routine_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Alter_routine_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Create_user_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Event_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Trigger_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Create_tablespace_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `ssl_type` enum('','ANY','X509','SPECIFIED') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT '',
  `ssl_cipher` blob NOT NULL,
  `x509_issuer` blob NOT NULL,
  `x509_subject` blob NOT NULL,
  `max_questions` int unsigned NOT NULL DEFAULT '0',
  `max_updates` int unsigned NOT NULL DEFAULT '0',
  `max_connections` int unsigned NOT NULL DEFAULT '0',
  `max_user_connections` int unsigned NOT NULL DEFAULT '0',
  `plugin` char(64) COLLATE utf8mb3_bin NOT NULL DEFAULT 'caching_sha2_password',
  `authentication_string` text COLLATE utf8mb3_bin,
  `password_expired` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `password_last_changed` timestamp NULL DEFAULT NULL,
  `password_lifetime` smallint unsigned DEFAULT NULL,
  `account_locked` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Create_role_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Drop_role_priv` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT 'N',
  `Password_reuse_history` smallint unsigned DEFAULT NULL,
  `Password_reuse_time` smallint unsigned DEFAULT NULL,
  `Password_require_current` enum('N','Y') CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci DEFAULT NULL,
  `User_attributes` json DEFAULT NULL,
  PRIMARY KEY (`Host`,`User`)
) /*!50100 TABLESPACE `mysql` */ ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_bin STATS_PERSISTENT=0 ROW_FORMAT=DYNAMIC COMMENT='Users and global privileges';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `user`
--

INSERT INTO `user` VALUES ('%','r','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','',_binary '',_binary '',_binary '',0,0,0,0,'caching_sha2_password','','Y','2026-11-23 18:22:10',NULL,'Y','N','N',NULL,NULL,NULL,NULL);
INSERT INTO `user` VALUES ('%','u','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','',_binary '',_binary '',_binary '',0,0,0,0,'caching_sha2_password','$A$00A$LUU[a^t%~#\r@Ie@EFM1h484OGqcYJCZX0QIMAX27qK3rhpZ2WcWZYHz6ZD','N','2026-11-23 18:22:10',NULL,'N','N','N',NULL,NULL,NULL,NULL);
INSERT INTO `user` VALUES ('localhost','mysql.infoschema','Y','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','',_binary '',_binary '',_binary '',0,0,0,0,'caching_sha2_password','$A$005$THISISACOMBINATIONOFINVALIDSALTANDPASSWORDTHATMUSTNEVERBRBEUSED','N','2026-11-23 17:56:33',NULL,'Y','N','N',NULL,NULL,NULL,NULL);
INSERT INTO `user` VALUES ('localhost','mysql.session','N','N','N','N','N','N','N','Y','N','N','N','N','N','N','N','Y','N','N','N','N','N','N','N','N','N','N','N','N','N','',_binary '',_binary '',_binary '',0,0,0,0,'caching_sha2_password','$A$005$THISISACOMBINATIONOFINVALIDSALTANDPASSWORDTHATMUSTNEVERBRBEUSED','N','2026-11-23 17:56:33',NULL,'Y','N','N',NULL,NULL,NULL,NULL);
INSERT INTO `user` VALUES ('localhost','mysql.sys','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','',_binary '',_binary '',_binary '',0,0,0,0,'caching_sha2_password','$A$005$THISISACOMBINATIONOFINVALIDSALTANDPASSWORDTHATMUSTNEVERBRBEUSED','N','2026-11-23 17:56:33',NULL,'Y','N','N',NULL,NULL,NULL,NULL);
INSERT INTO `user` VALUES ('localhost','root','Y','Y','Y','Y','Y','Y','Y','Y','Y','Y','Y','Y','Y','Y','Y','Y','Y','Y','Y','Y','Y','Y','Y','Y','Y','Y','Y','Y','Y','',_binary '',_binary '',_binary '',0,0,0,0,'caching_sha2_password','','N','2026-11-23 17:56:33',NULL,'N','Y','Y',NULL,NULL,NULL,NULL);
INSERT INTO `user` VALUES ('localhost','s','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','N','',_binary '',_binary '',_binary '',0,0,0,0,'caching_sha2_password','$A$00A$R	7\n =x\':o/upDa\rvP2VIVRIr2tool8PTz53TBFoA1amVOl/2b8lFbvWYGO/','N','2026-11-23 18:22:10',NULL,'N','N','N',NULL,NULL,NULL,NULL);

--
-- Dumping events for database 'mysql'
--

--
-- Dumping routines for database 'mysql'
--

--
-- Table structure for table `general_log`
--

/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE IF NOT EXISTS `general_log` (
  `event_time` timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  `user_host` mediumtext NOT NULL,
  `thread_id` bigint unsigned NOT NULL,
  `server_id` int unsigned NOT NULL,
  `command_type` varchar(64) NOT NULL,
  `argument` mediumblob NOT NULL
) ENGINE=CSV DEFAULT CHARSET=utf8mb3 COMMENT='General log';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Table structure for table `slow_log`
--

/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE IF NOT EXISTS `slow_log` (
  `start_time` timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  `user_host` mediumtext NOT NULL,
  `query_time` time(6) NOT NULL,
  `lock_time` time(6) NOT NULL,
  `rows_sent` int NOT NULL,
  `rows_examined` int NOT NULL,
  `db` varchar(512) NOT NULL,
  `last_insert_id` int NOT NULL,
  `insert_id` int NOT NULL,
  `server_id` int unsigned NOT NULL,
  `sql_text` mediumblob NOT NULL,
  `thread_id` bigint unsigned NOT NULL
) ENGINE=CSV DEFAULT CHARSET=utf8mb3 COMMENT='Slow log';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Current Database: `zoo`
--

CREATE DATABASE /*!32312 IF NOT EXISTS*/ `zoo` /*!40100 DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci */ /*!80016 DEFAULT ENCRYPTION='N' */;

USE `zoo`;

--
-- Temporary view structure for view `a_on_v1`
--

DROP TABLE IF EXISTS `a_on_v1`;
/*!50001 DROP VIEW IF EXISTS `a_on_v1`*/;
SET @saved_cs_client     = @@character_set_client;
/*!50503 SET character_set_client = utf8mb4 */;
/*!50001 CREATE VIEW `a_on_v1` AS SELECT 
 1 AS `a`*/;
SET character_set_client = @saved_cs_client;

--
-- Temporary view structure for view `broken`
--

DROP TABLE IF EXISTS `broken`;

-- failed on view `broken`: CREATE ALGORITHM=UNDEFINED DEFINER=`root`@`localhost` SQL SECURITY DEFINER VIEW `broken` AS select `gone`.`a` AS `a` from `gone`


--
-- Table structure for table `bytes`
--

DROP TABLE IF EXISTS `bytes`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `bytes` (
  `id` int NOT NULL,
  `b` varbinary(300) DEFAULT NULL,
  `t` text CHARACTER SET latin1 COLLATE latin1_swedish_ci,
  `u` longtext,
  `c` text CHARACTER SET cp1250 COLLATE cp1250_general_ci,
  `ci` varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_as_cs DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `bytes`
--

INSERT INTO `bytes` VALUES (1,0x000A0D1A275C22FF,'é\n\\\'','𝄞 naïve','??','x');
INSERT INTO `bytes` VALUES (2,_binary '','','','','');
INSERT INTO `bytes` VALUES (3,NULL,NULL,NULL,NULL,NULL);

--
-- Table structure for table `fk1`
--

DROP TABLE IF EXISTS `fk1`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `fk1` (
  `id` int NOT NULL,
  `o` int DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `fk1`
--

INSERT INTO `fk1` VALUES (1,1);
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;
/*!50003 SET character_set_client  = utf8mb4 */ ;
/*!50003 SET character_set_results = utf8mb4 */ ;
/*!50003 SET collation_connection  = utf8mb4_0900_ai_ci */ ;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER `tr2` BEFORE INSERT ON `fk1` FOR EACH ROW set @x = ';' */;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50003 SET character_set_client  = @saved_cs_client */ ;
/*!50003 SET character_set_results = @saved_cs_results */ ;
/*!50003 SET collation_connection  = @saved_col_connection */ ;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;
/*!50003 SET character_set_client  = utf8mb4 */ ;
/*!50003 SET character_set_results = utf8mb4 */ ;
/*!50003 SET collation_connection  = utf8mb4_0900_ai_ci */ ;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER `tr` BEFORE INSERT ON `fk1` FOR EACH ROW begin set new.o = ifnull(new.o, 5); end */;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50003 SET character_set_client  = @saved_cs_client */ ;
/*!50003 SET character_set_results = @saved_cs_results */ ;
/*!50003 SET collation_connection  = @saved_col_connection */ ;

--
-- Table structure for table `fk2`
--

DROP TABLE IF EXISTS `fk2`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `fk2` (
  `id` int NOT NULL,
  `o` int DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `o` (`o`),
  CONSTRAINT `fk2_ibfk_1` FOREIGN KEY (`o`) REFERENCES `fk1` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `fk2`
--

INSERT INTO `fk2` VALUES (1,1);

--
-- Table structure for table `gen`
--

DROP TABLE IF EXISTS `gen`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `gen` (
  `a` int NOT NULL,
  `b` int GENERATED ALWAYS AS ((`a` * 2)) VIRTUAL,
  `c` int GENERATED ALWAYS AS ((`a` + 1)) STORED,
  `d` int DEFAULT '7' /*!80023 INVISIBLE */,
  `e` varchar(40) DEFAULT (concat(_utf8mb4'a',_utf8mb4'b')),
  PRIMARY KEY (`a`),
  CONSTRAINT `gen_chk_1` CHECK ((`a` > 0)),
  CONSTRAINT `named` CHECK ((`b` < 1000)) /*!80016 NOT ENFORCED */
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `gen`
--

INSERT INTO `gen` (`a`, `d`, `e`) VALUES (1,8,'ab');
INSERT INTO `gen` (`a`, `d`, `e`) VALUES (2,9,'ab');

--
-- Table structure for table `idx`
--

DROP TABLE IF EXISTS `idx`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `idx` (
  `a` int DEFAULT NULL,
  `j` json DEFAULT NULL,
  `s` varchar(20) DEFAULT NULL,
  KEY `des` (`a` DESC,`s`),
  KEY `hid` (`s`) /*!80000 INVISIBLE */,
  KEY `fun` (((`a` + 1))),
  KEY `multi` ((cast(json_extract(`j`,_utf8mb4'$.z') as unsigned array)))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `idx`
--

INSERT INTO `idx` VALUES (1,'{\"t\": \"é\\n\\\"\", \"z\": [1, 2, 3]}','x');
INSERT INTO `idx` VALUES (NULL,'[1.5, true, null]',NULL);

--
-- Table structure for table `numbers`
--

DROP TABLE IF EXISTS `numbers`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `numbers` (
  `t` tinyint DEFAULT NULL,
  `b` bigint DEFAULT NULL,
  `bu` bigint unsigned DEFAULT NULL,
  `d` decimal(65,30) DEFAULT NULL,
  `f` float DEFAULT NULL,
  `db` double DEFAULT NULL,
  `bt` bit(64) DEFAULT NULL,
  `y` year DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `numbers`
--

INSERT INTO `numbers` VALUES (-128,-9223372036854775808,18446744073709551615,-99999999999999999999999999999999999.999999999999999999999999999999,16777200,-1.7976931348623157e308,0xFFFFFFFFFFFFFFFF,1901);
INSERT INTO `numbers` VALUES (127,9223372036854775807,0,1.000000000000000000000000000000,0.1,2.2250738585072014e-308,0x0000000000000000,2155);
INSERT INTO `numbers` VALUES (NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);

--
-- Table structure for table `part`
--

DROP TABLE IF EXISTS `part`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `part` (
  `id` int NOT NULL,
  `y` int NOT NULL,
  PRIMARY KEY (`id`,`y`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
/*!50100 PARTITION BY HASH (`y`)
PARTITIONS 3 */;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `part`
--

INSERT INTO `part` VALUES (3,3);
INSERT INTO `part` VALUES (1,1);
INSERT INTO `part` VALUES (2,2);

--
-- Table structure for table `places`
--

DROP TABLE IF EXISTS `places`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `places` (
  `id` int NOT NULL,
  `p` point NOT NULL /*!80003 SRID 4326 */,
  `g` geometry DEFAULT NULL,
  PRIMARY KEY (`id`),
  SPATIAL KEY `p` (`p`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `places`
--

INSERT INTO `places` VALUES (1,0xE6100000010100000000000000000030400000000000004840,0x000000000107000000010000000101000000000000000000F03F000000000000F03F);

--
-- Temporary view structure for view `v1`
--

DROP TABLE IF EXISTS `v1`;
/*!50001 DROP VIEW IF EXISTS `v1`*/;
SET @saved_cs_client     = @@character_set_client;
/*!50503 SET character_set_client = utf8mb4 */;
/*!50001 CREATE VIEW `v1` AS SELECT 
 1 AS `a`*/;
SET character_set_client = @saved_cs_client;

--
-- Dumping events for database 'zoo'
--
/*!50106 SET @save_time_zone= @@TIME_ZONE */ ;
/*!50106 DROP EVENT IF EXISTS `ev` */;
DELIMITER ;;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;;
/*!50003 SET character_set_client  = utf8mb4 */ ;;
/*!50003 SET character_set_results = utf8mb4 */ ;;
/*!50003 SET collation_connection  = utf8mb4_0900_ai_ci */ ;;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;;
/*!50003 SET sql_mode              = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION' */ ;;
/*!50003 SET @saved_time_zone      = @@time_zone */ ;;
/*!50003 SET time_zone             = 'SYSTEM' */ ;;
/*!50106 CREATE*/ /*!50117 DEFINER=`root`@`localhost`*/ /*!50106 EVENT `ev` ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' ON COMPLETION NOT PRESERVE ENABLE DO delete from gen where a=100 */ ;;
/*!50003 SET time_zone             = @saved_time_zone */ ;;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;;
/*!50003 SET character_set_client  = @saved_cs_client */ ;;
/*!50003 SET character_set_results = @saved_cs_results */ ;;
/*!50003 SET collation_connection  = @saved_col_connection */ ;;
DELIMITER ;
/*!50106 SET TIME_ZONE= @save_time_zone */ ;

--
-- Dumping routines for database 'zoo'
--
/*!50003 DROP FUNCTION IF EXISTS `f` */;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;
/*!50003 SET character_set_client  = utf8mb4 */ ;
/*!50003 SET character_set_results = utf8mb4 */ ;
/*!50003 SET collation_connection  = utf8mb4_0900_ai_ci */ ;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION' */ ;
DELIMITER ;;
CREATE DEFINER=`root`@`localhost` FUNCTION `f`(a int) RETURNS int
    DETERMINISTIC
return a+1 ;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50003 SET character_set_client  = @saved_cs_client */ ;
/*!50003 SET character_set_results = @saved_cs_results */ ;
/*!50003 SET collation_connection  = @saved_col_connection */ ;
/*!50003 DROP PROCEDURE IF EXISTS `p` */;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;
/*!50003 SET character_set_client  = utf8mb4 */ ;
/*!50003 SET character_set_results = utf8mb4 */ ;
/*!50003 SET collation_connection  = utf8mb4_0900_ai_ci */ ;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION' */ ;
DELIMITER ;;
CREATE DEFINER=`root`@`localhost` PROCEDURE `p`()
begin select 1; end ;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50003 SET character_set_client  = @saved_cs_client */ ;
/*!50003 SET character_set_results = @saved_cs_results */ ;
/*!50003 SET collation_connection  = @saved_col_connection */ ;

--
-- Current Database: `mysql`
--

USE `mysql`;

--
-- Current Database: `zoo`
--

USE `zoo`;

--
-- Final view structure for view `a_on_v1`
--

/*!50001 DROP VIEW IF EXISTS `a_on_v1`*/;
/*!50001 SET @saved_cs_client          = @@character_set_client */;
/*!50001 SET @saved_cs_results         = @@character_set_results */;
/*!50001 SET @saved_col_connection     = @@collation_connection */;
/*!50001 SET character_set_client      = utf8mb4 */;
/*!50001 SET character_set_results     = utf8mb4 */;
/*!50001 SET collation_connection      = utf8mb4_0900_ai_ci */;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`root`@`localhost` SQL SECURITY DEFINER */
/*!50001 VIEW `a_on_v1` AS select `v1`.`a` AS `a` from `v1` */;
/*!50001 SET character_set_client      = @saved_cs_client */;
/*!50001 SET character_set_results     = @saved_cs_results */;
/*!50001 SET collation_connection      = @saved_col_connection */;

--
-- Final view structure for view `broken`
--

/*!50001 DROP VIEW IF EXISTS `broken`*/;
/*!50001 SET @saved_cs_client          = @@character_set_client */;
/*!50001 SET @saved_cs_results         = @@character_set_results */;
/*!50001 SET @saved_col_connection     = @@collation_connection */;
/*!50001 SET character_set_client      = utf8mb4 */;
/*!50001 SET character_set_results     = utf8mb4 */;
/*!50001 SET collation_connection      = utf8mb4_0900_ai_ci */;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`root`@`localhost` SQL SECURITY DEFINER */
/*!50001 VIEW `broken` AS select `gone`.`a` AS `a` from `gone` */;
/*!50001 SET character_set_client      = @saved_cs_client */;
/*!50001 SET character_set_results     = @saved_cs_results */;
/*!50001 SET collation_connection      = @saved_col_connection */;

--
-- Final view structure for view `v1`
--

/*!50001 DROP VIEW IF EXISTS `v1`*/;
/*!50001 SET @saved_cs_client          = @@character_set_client */;
/*!50001 SET @saved_cs_results         = @@character_set_results */;
/*!50001 SET @saved_col_connection     = @@collation_connection */;
/*!50001 SET character_set_client      = utf8mb4 */;
/*!50001 SET character_set_results     = utf8mb4 */;
/*!50001 SET collation_connection      = utf8mb4_0900_ai_ci */;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`root`@`localhost` SQL SECURITY DEFINER */
/*!50001 VIEW `v1` AS select `gen`.`a` AS `a` from `gen` */;
/*!50001 SET character_set_client      = @saved_cs_client */;
/*!50001 SET character_set_results     = @saved_cs_results */;
/*!50001 SET collation_connection      = @saved_col_connection */;
SET @@SESSION.SQL_LOG_BIN = @MYSQLDUMP_TEMP_LOG_BIN;
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;
/*!50606 SET GLOBAL INNODB_STATS_AUTO_RECALC=@OLD_INNODB_STATS_AUTO_RECALC */;

/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
/*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */;
/*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;
/*!40101 SET CHARACTER_SET_RESULTS=@OLD_CHARACTER_SET_RESULTS */;
/*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */;
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

-- Dump completed on 2026-11-23 18:22:11
