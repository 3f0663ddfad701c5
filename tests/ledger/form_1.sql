BEGIN TRANSACTION;
CREATE TABLE reticent_entries (
	seq INTEGER NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	time VARCHAR(40) NOT NULL, 
	population VARCHAR(100) NOT NULL, 
	unit VARCHAR(16) NOT NULL, 
	relation VARCHAR(32) NOT NULL, 
	filter VARCHAR(16) NOT NULL, 
	"key" TEXT NOT NULL, 
	commit_key TEXT NOT NULL, 
	dataset TEXT NOT NULL, 
	purpose TEXT NOT NULL, 
	plan_hash TEXT NOT NULL, 
	events TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	signer TEXT NOT NULL, 
	nano_epsilon BIGINT NOT NULL, 
	atto_delta BIGINT NOT NULL, 
	granted_nano_epsilon BIGINT NOT NULL, 
	granted_atto_delta BIGINT NOT NULL, 
	reserved_nano_epsilon BIGINT NOT NULL, 
	reserved_atto_delta BIGINT NOT NULL, 
	spent_nano_epsilon BIGINT NOT NULL, 
	spent_atto_delta BIGINT NOT NULL, 
	PRIMARY KEY (seq), 
	CONSTRAINT known_kind CHECK (kind in ('grant', 'reserve', 'commit', 'void')), 
	CONSTRAINT no_negative_amount CHECK (nano_epsilon >= 0 and atto_delta >= 0 and reserved_nano_epsilon >= 0 and reserved_atto_delta >= 0), 
	CONSTRAINT within_the_grant CHECK (filter <> 'sum' or (reserved_nano_epsilon + spent_nano_epsilon <= granted_nano_epsilon and reserved_atto_delta + spent_atto_delta <= granted_atto_delta))
);
INSERT INTO "reticent_entries" VALUES(1,'grant','2026-11-25T00:03:07.779724+00:00','ward-7','person','add_or_remove_one','sum','','','','','','[]','ethics vote 12','Dr. Ada',4000000000,10000000000000,4000000000,10000000000000,0,0,0,0);
INSERT INTO "reticent_entries" VALUES(2,'grant','2026-11-25T00:03:07.827991+00:00','ward-8','person','add_or_remove_one','sum','','','','','','[]','Grüße aus Köln, ''quoted''','',1000000000,1000000000000,1000000000,1000000000000,0,0,0,0);
INSERT INTO "reticent_entries" VALUES(3,'grant','2026-11-25T00:03:07.879785+00:00','ward-7','person','add_or_remove_one','sum','','','','','','[]','a little more','',500000000,0,4500000000,10000000000000,0,0,0,0);
INSERT INTO "reticent_entries" VALUES(4,'reserve','2026-11-25T00:03:11.251401+00:00','ward-7','person','add_or_remove_one','sum','run-1/north','','2026-10','sepsis@1','ab12','[{"count":20,"event":{"event":{"kind":"gaussian","noise_multiplier":1.5},"kind":"poisson_sampled","sampling_probability":0.05},"kind":"repeated"},{"kind":"gaussian","noise_multiplier":40.0}]','','',1207080172,100000000000,4500000000,10000000000000,1207080172,100000000000,0,0);
INSERT INTO "reticent_entries" VALUES(5,'commit','2026-11-25T00:03:11.299401+00:00','ward-7','person','add_or_remove_one','sum','run-1/north','train/0','2026-10','sepsis@1','ab12','[{"event":{"kind":"gaussian","noise_multiplier":1.5},"kind":"poisson_sampled","sampling_probability":0.05}]','','',1207080172,100000000000,4500000000,10000000000000,0,0,1207080172,100000000000);
INSERT INTO "reticent_entries" VALUES(6,'commit','2026-11-25T00:03:11.341097+00:00','ward-7','person','add_or_remove_one','sum','run-1/north','train/1','2026-10','sepsis@1','ab12','[{"event":{"kind":"gaussian","noise_multiplier":1.5},"kind":"poisson_sampled","sampling_probability":0.05}]','','',0,0,4500000000,10000000000000,0,0,1207080172,100000000000);
INSERT INTO "reticent_entries" VALUES(7,'commit','2026-11-25T00:03:11.387886+00:00','ward-7','person','add_or_remove_one','sum','run-1/north','train/2','2026-10','sepsis@1','ab12','[{"event":{"kind":"gaussian","noise_multiplier":1.5},"kind":"poisson_sampled","sampling_probability":0.05}]','','',0,0,4500000000,10000000000000,0,0,1207080172,100000000000);
INSERT INTO "reticent_entries" VALUES(8,'commit','2026-11-25T00:03:11.457157+00:00','ward-7','person','add_or_remove_one','sum','run-1/north','evaluate','2026-10','sepsis@1','ab12','[{"kind":"gaussian","noise_multiplier":40.0}]','','',0,0,4500000000,10000000000000,0,0,1207080172,100000000000);
INSERT INTO "reticent_entries" VALUES(9,'reserve','2026-11-25T00:03:11.504002+00:00','ward-7','person','add_or_remove_one','sum','run-2/north','','2026-10','sepsis@1','ab12','[{"count":10,"event":{"event":{"kind":"gaussian","noise_multiplier":1.5},"kind":"poisson_sampled","sampling_probability":0.05},"kind":"repeated"},{"kind":"gaussian","noise_multiplier":40.0}]','','',1001935718,100000000000,4500000000,10000000000000,1001935718,100000000000,1207080172,100000000000);
INSERT INTO "reticent_entries" VALUES(10,'void','2026-11-25T00:03:11.537941+00:00','ward-7','person','add_or_remove_one','sum','run-2/north','','','','','[]','another site refused','',1001935718,100000000000,4500000000,10000000000000,0,0,1207080172,100000000000);
INSERT INTO "reticent_entries" VALUES(11,'reserve','2026-11-25T00:03:11.573278+00:00','ward-7','person','add_or_remove_one','sum','run-3/north','','2026-10','sepsis@1','ab12','[{"count":10,"event":{"event":{"kind":"gaussian","noise_multiplier":1.5},"kind":"poisson_sampled","sampling_probability":0.05},"kind":"repeated"},{"kind":"gaussian","noise_multiplier":40.0}]','','',1001935718,100000000000,4500000000,10000000000000,1001935718,100000000000,1207080172,100000000000);
INSERT INTO "reticent_entries" VALUES(12,'reserve','2026-11-25T00:03:11.627777+00:00','ward-8','person','add_or_remove_one','sum','run-1/south','','2026-10','sepsis@1','ab12','[{"count":5,"event":{"event":{"kind":"gaussian","noise_multiplier":1.5},"kind":"poisson_sampled","sampling_probability":0.05},"kind":"repeated"},{"kind":"gaussian","noise_multiplier":40.0}]','','',866017050,100000000000,1000000000,1000000000000,866017050,100000000000,0,0);
CREATE TABLE reticent_ledger (
	version INTEGER NOT NULL
);
INSERT INTO "reticent_ledger" VALUES(1);
CREATE UNIQUE INDEX reticent_one_commit ON reticent_entries ("key", commit_key) WHERE kind = 'commit';
CREATE INDEX reticent_entries_of_population ON reticent_entries (population, seq);
CREATE INDEX reticent_entries_of_key ON reticent_entries ("key", kind);
CREATE UNIQUE INDEX reticent_one_void ON reticent_entries ("key") WHERE kind = 'void';
CREATE UNIQUE INDEX reticent_one_reserve ON reticent_entries ("key") WHERE kind = 'reserve';
CREATE TRIGGER reticent_no_update before update on reticent_entries begin select raise(abort, 'the ledger is append-only'); end;
CREATE TRIGGER reticent_no_delete before delete on reticent_entries begin select raise(abort, 'the ledger is append-only'); end;
COMMIT;
