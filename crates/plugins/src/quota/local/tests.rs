//! Mailboxes in a temporary directory. Those that Courier writes are in the end-to-end tests.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;

use posthouse_hook::{Clock as _, SystemClock};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const FAR: Duration = Duration::from_secs(60);

struct Mail {
    dir: TempDir,
}

impl Mail {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        for sub in ["cur", "new", "tmp"] {
            fs::create_dir_all(dir.path().join("ann").join(sub)).expect("made");
        }
        Self { dir }
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join("ann").join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }

    fn boxes(&self, form: Form, default: &str) -> Mailboxes {
        let path = format!("{}/{{user}}", self.dir.path().display());
        let default = default.parse().expect("a quota");
        Mailboxes::new(form, &path, default, None).expect("a path")
    }

    fn at(&self, now: Timestamp) -> Result<Usage, String> {
        let names = Names::asked("ann").expect("a name");
        let boxes = self.boxes(Form::Maildir, "500S");
        let told = boxes.read(&names, now, Instant::now() + FAR)?;
        Ok(*told.usage().expect("numbers"))
    }

    fn usage(&self) -> (u64, u64, u64) {
        let usage = self.at(SystemClock.now()).expect("read");
        (
            usage.octets,
            usage.messages.expect("counted"),
            usage.limits.octets,
        )
    }

    /// Names, sizes and times of all files, and their content.
    fn everything(&self) -> BTreeMap<String, (Vec<u8>, std::time::SystemTime)> {
        let mut found = BTreeMap::new();
        let mut left = vec![self.dir.path().to_owned()];
        while let Some(path) = left.pop() {
            let meta = fs::symlink_metadata(&path).expect("there");
            let text = fs::read(&path).unwrap_or_default();
            found.insert(
                path.display().to_string(),
                (text, meta.modified().expect("a time")),
            );
            if meta.is_dir() {
                left.extend(
                    fs::read_dir(&path)
                        .expect("read")
                        .map(|e| e.expect("an entry").path()),
                );
            }
        }
        found
    }
}

#[test]
fn without_a_file_all_folders_are_counted() {
    let mail = Mail::new();
    mail.write("new/1.host,S=100", "x");
    mail.write("cur/2.host:2,S", "four");
    mail.write("cur/3.host,S=50:2,ST", "trashed");
    mail.write("cur/.hidden", "hidden");
    mail.write("tmp/4.host,S=1000", "not yet there");
    mail.write(".Archive.2026/cur/5.host,S=7:2,", "x");
    mail.write(".Trash/cur/6.host,S=2000:2,", "x");
    mail.write("courierpop3dsizelist", "no folder");
    let before = mail.everything();
    assert_eq!(mail.usage(), (111, 3, 500));
    assert_eq!(mail.everything(), before, "nothing was written");
}

#[test]
fn the_file_is_believed_unless_it_is_long_or_over_and_old() {
    let mail = Mail::new();
    mail.write("new/1.host,S=100", "x");
    mail.write("maildirsize", "1000S,9C\n 300 3\n -50 -1\n");
    assert_eq!(mail.usage(), (250, 2, 1000));
    mail.write("maildirsize", "200S\n300 3\n");
    assert_eq!(mail.usage(), (300, 3, 200));
    let minutes = |n: u64| SystemClock.now().after(Duration::from_secs(n * 60));
    assert_eq!(mail.at(minutes(14)).map(|usage| usage.octets), Ok(300));
    assert_eq!(mail.at(minutes(16)).map(|usage| usage.octets), Ok(100));
    mail.write("maildirsize", &format!("1000S\n{}", "1 1\n".repeat(1280)));
    assert_eq!(mail.usage(), (100, 1, 1000));
    mail.write("maildirsize", "1000S\nnonsense\n");
    assert_eq!(mail.usage(), (100, 1, 1000));
}

#[test]
fn links_are_not_followed() {
    let mail = Mail::new();
    mail.write("new/1.host,S=100", "x");
    let other = tempfile::tempdir().expect("a directory");
    fs::create_dir_all(other.path().join("cur")).expect("made");
    fs::write(other.path().join("cur/9.host,S=9999"), "x").expect("written");
    fs::write(other.path().join("size"), "1S\n99 9\n").expect("written");
    let ann = mail.dir.path().join("ann");
    symlink(other.path(), ann.join(".Linked")).expect("made");
    symlink(other.path().join("size"), ann.join("maildirsize")).expect("made");
    symlink(other.path().join("size"), ann.join("cur/2.host")).expect("made");
    assert_eq!(mail.usage(), (100, 1, 500));
}

#[test]
fn a_bound_is_an_error() {
    let mail = Mail::new();
    for at in 0..20 {
        mail.write(&format!("cur/{at}.host"), "x");
    }
    let count = |entries, until| {
        let names = Names::asked("ann").expect("a name");
        let boxes = mail.boxes(Form::Maildir, "500S");
        let dir = boxes.path.open_dir(&names).expect("opened").expect("there");
        let quota = Quota {
            own: None,
            default: Limits::default(),
        };
        maildir::usage(&dir, quota, SystemClock.now(), Bounds { entries, until })
    };
    let later = Instant::now() + FAR;
    assert!(count(100, later).is_ok());
    assert!(count(19, later).expect_err("bound").contains("too many"));
    assert!(
        count(100, Instant::now())
            .expect_err("bound")
            .contains("too long")
    );
}

#[test]
fn an_mbox_is_its_size() {
    let mail = Mail::new();
    fs::write(mail.dir.path().join("bob"), "x".repeat(600)).expect("written");
    let boxes = mail.boxes(Form::Mbox, "500S");
    let read = |name: &str| {
        let names = Names::asked(name).expect("a name");
        boxes.read(&names, SystemClock.now(), Instant::now() + FAR)
    };
    let bob = read("bob").expect("read");
    assert_eq!(bob.line("bob", None), "OVERQUOTA bob 600 500");
    assert_eq!(read("zoe"), Ok(Answer::of(Standing::Unknown)));
    assert!(read("ann").is_err(), "a directory");
}

#[tokio::test]
async fn a_user_s_own_quota_comes_first() {
    let mail = Mail::new();
    mail.write("maildirsize", "1000S\n300 3\n");
    let quotas = mail.dir.path().join("quotas");
    fs::write(&quotas, "ann,250\n").expect("written");
    let path = format!("{}/{{user}}", mail.dir.path().display());
    let boxes = Mailboxes::new(Form::Maildir, &path, Limits::default(), Some(&quotas));
    let boxes = Arc::new(boxes.expect("a path"));
    let names = Names::asked("ann@b.example").expect("a name");
    let told = boxes.ask(&names, SystemClock.now(), FAR).await;
    let line = told.expect("alive").expect("told").line("ann", None);
    assert_eq!(line, "OVERQUOTA ann 300 250 3 0");
}

/// A folder, a directory in it, and files of that size, with the size in the name or without.
fn files() -> impl Strategy<Value = Vec<(usize, usize, u16, u8)>> {
    prop::collection::vec((0..5usize, 0..3usize, 0..2000u16, 0..4u8), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_count_is_that_of_a_naive_recount(files in files()) {
        const FOLDERS: [&str; 5] = ["", ".A", ".A.b", ".Trash", ".Trash.c"];
        const SUBS: [&str; 3] = ["cur", "new", "tmp"];
        let mail = Mail::new();
        let (mut octets, mut messages) = (0, 0);
        for (at, (folder, sub, size, kind)) in files.iter().enumerate() {
            let (folder, sub, kind) = (FOLDERS[*folder], SUBS[*sub], *kind);
            let name = match kind {
                0 => format!("{at}.host"),
                1 => format!("{at}.host,S={size}:2,S"),
                2 => format!("{at}.host,S={size},W=1:2,RST"),
                _ => format!(".{at}.host"),
            };
            let path = format!("{folder}/{sub}/{name}");
            let text = "x".repeat(usize::from(*size));
            mail.write(path.trim_start_matches('/'), &text);
            if folder != ".Trash" && sub != "tmp" && kind < 2 {
                octets += u64::from(*size);
                messages += 1;
            }
        }
        prop_assert_eq!(mail.usage(), (octets, messages, 500));
    }
}
