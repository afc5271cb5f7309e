//! Maildirs as Courier makes and fills them: `maildirmake` and `deliverquota`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::proc::{require, run};

/// What `deliverquota` exits with if there is no room: as it does, and as its manual says.
const OVER: [i32; 2] = [75, 77];

/// A Maildir of Courier's making.
pub struct Maildir(PathBuf);

impl Maildir {
    /// Makes one, with a quota such as `1000S,10C`, and whatever directories are above it.
    pub fn make(path: &Path, quota: &str) -> Self {
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        let make = require("maildirmake.courier", "courier-base");
        run(Command::new(make).args(["-q", quota]).arg(path));
        Self(path.to_owned())
    }

    /// Makes a folder in it.
    pub fn folder(&self, name: &str) {
        let make = require("maildirmake.courier", "courier-base");
        run(Command::new(make).args(["-f", name]).arg(&self.0));
    }

    /// Delivers a message of so many octets; false if there is no room for it.
    pub fn deliver(&self, octets: usize) -> bool {
        self.deliver_under(octets, &[])
    }

    /// Has Courier count what is there, as it does when `maildirsize` is missing, and deliver one
    /// message more.
    pub fn recount(&self, octets: usize, quota: &str) -> bool {
        std::fs::remove_file(self.0.join("maildirsize")).expect("there");
        self.deliver_under(octets, &[quota])
    }

    fn deliver_under(&self, octets: usize, quota: &[&str]) -> bool {
        let deliver = require("deliverquota.courier", "courier-base");
        let mut child = Command::new(deliver)
            .arg(&self.0)
            .args(quota)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut message = b"Subject: x\n\n".to_vec();
        message.resize(octets, b'x');
        let mut stdin = child.stdin.take().expect("a pipe");
        // It may refuse before it has read all.
        let _ = stdin.write_all(&message);
        drop(stdin);
        match child.wait().expect("it ends").code() {
            Some(0) => true,
            Some(code) if OVER.contains(&code) => false,
            other => panic!("deliverquota exits with {other:?}"),
        }
    }

    /// The lines of `maildirsize`, their words.
    pub fn sizes(&self) -> Vec<Vec<String>> {
        let text = std::fs::read_to_string(self.0.join("maildirsize")).expect("maildirsize");
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        text.lines().map(words).collect()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}
