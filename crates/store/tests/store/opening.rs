//! Opening a store: one process, private files, room, and errors that say where.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use posthouse_hook::{Clock as _, Commit as _, CommitError, Disposition, Outcome};
use posthouse_store::{AttemptResult, Store, StoreError};

use crate::bench::{Bench, TestClock, all, operator, session, settings};

#[tokio::test]
async fn two_processes_cannot_share_a_state_directory() {
    let bench = Bench::new();
    let second = Store::open(settings(bench.dir.path()), bench.clock.clone());
    assert!(matches!(second, Err(StoreError::InUse(_))));
    let reader = Store::open_read_only(settings(bench.dir.path()), bench.clock.clone());
    let reader = reader.expect("opens");
    let id = bench.relay(&["b@x.example"], "\r\n").await;
    assert!(reader.item(id).await.expect("reads").is_some());
    assert!(reader.retry(all(id), operator()).await.is_err());
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_can_read_what_is_held() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let clock = Arc::new(TestClock(AtomicI64::new(1_790_000_000_000)));
    let _store = Store::open(settings(&state), clock).expect("opens");
    for name in ["", "spool", "ledger.db", "ledger.db-wal", "link.key"] {
        let mode = std::fs::metadata(state.join(name))
            .expect(name)
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{name} is {mode:o}");
    }
}

#[tokio::test]
async fn a_disk_below_min_free_is_full() {
    let bench = Bench::new();
    let mut tight = settings(bench.dir.path());
    tight.state = bench.dir.path().join("other");
    tight.min_free = u64::MAX;
    let store = Store::open(tight, bench.clock.clone()).expect("opens");
    assert!(store.room(1).is_err());
    let tx = bench.tx("a@isp.example", &["b@x.example"], "\r\n");
    let outcome = Outcome::Accepted(vec![Disposition::Relay]);
    let refused = store
        .commit(&session(bench.clock.now()), &tx, &outcome)
        .await;
    assert!(matches!(refused, Err(CommitError::Full(_))));
}

#[tokio::test]
async fn errors_name_the_file_that_they_are_about() {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(TestClock(AtomicI64::new(0)));
    let told = |opened: Result<Store, StoreError>| match opened {
        Ok(_) => panic!("it cannot open"),
        Err(error) => error.to_string(),
    };
    let unserved = Store::open_read_only(settings(dir.path()), clock.clone());
    assert!(
        told(unserved).ends_with("ledger.db is not there; was this configuration ever served?")
    );
    assert_eq!(
        std::fs::read_dir(dir.path()).expect("there").count(),
        0,
        "nothing is made"
    );
    let file = dir.path().join("a-file");
    std::fs::write(&file, b"x").expect("written");
    let error = told(Store::open(settings(&file.join("state")), clock));
    assert!(error.contains("a-file/state: Not a directory"), "{error}");
}

#[tokio::test]
async fn big_bodies_are_files_and_orphans_are_swept() {
    let bench = Bench::new();
    let body = format!("Subject: big\r\n\r\n{}\r\n", "x".repeat(5000));
    let id = bench.relay(&["b@x.example"], &body).await;
    let spool = bench.dir.path().join("spool");
    let files = || {
        let names = std::fs::read_dir(&spool).expect("there");
        names
            .map(|entry| entry.expect("readable").file_name())
            .collect::<HashSet<_>>()
    };
    assert_eq!(files(), HashSet::from([id.to_string().into()]));
    std::fs::write(spool.join("12345"), b"orphan").expect("written");
    let bench = bench.reopen();
    assert_eq!(files(), HashSet::from([id.to_string().into()]));
    let content = bench.store.content(id).await.expect("reads").expect("kept");
    assert_eq!(content.head(u64::MAX).await.expect("read"), body.as_bytes());
    assert_eq!(bench.settle_all(AttemptResult::Delivered).await, 1);
    assert_eq!(files(), HashSet::new());
}

/// To begin anew would sweep every message in the spool as an orphan.
#[tokio::test]
async fn a_lost_ledger_does_not_take_the_spool_with_it() {
    let bench = Bench::new();
    bench.relay(&["b@x.example"], &"x".repeat(5000)).await;
    let Bench {
        dir, clock, store, ..
    } = bench;
    drop(store);
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let _ = std::fs::remove_file(dir.path().join(name));
    }
    let opened = Store::open(settings(dir.path()), clock);
    assert!(matches!(opened, Err(StoreError::LostLedger(_))));
    let left = std::fs::read_dir(dir.path().join("spool"))
        .expect("there")
        .count();
    assert_eq!(left, 1);
}

/// So that a copy of the one file is a whole backup.
#[tokio::test]
async fn after_an_orderly_stop_the_ledger_is_one_file() {
    let bench = Bench::new();
    let id = bench.relay(&["b@x.example"], "Subject: x\r\n\r\n").await;
    let Bench {
        dir, clock, store, ..
    } = bench;
    drop(store);
    let copy = tempfile::tempdir().expect("a directory");
    for name in ["ledger.db", "link.key"] {
        std::fs::copy(dir.path().join(name), copy.path().join(name)).expect("copied");
    }
    let store = Store::open(settings(copy.path()), clock).expect("opens");
    assert!(store.item(id).await.expect("reads").is_some());
}
