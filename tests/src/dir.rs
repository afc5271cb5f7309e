//! Scratch directories: one a server, gone with its guard.
//!
//! Servers that drop their rights must be able to walk in, so a scratch directory is readable by
//! everybody; nothing secret belongs into one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A new directory that other users may enter.
pub fn scratch(name: &str) -> TempDir {
    let dir = tempfile::Builder::new()
        .prefix(&format!("posthouse-{name}-"))
        .tempdir()
        .expect("the temporary directory can be written");
    open_to_all(dir.path());
    dir
}

/// A new subdirectory that other users may enter.
pub fn subdir(parent: &Path, name: &str) -> PathBuf {
    let path = parent.join(name);
    fs::create_dir_all(&path).expect("a scratch directory can be written");
    open_to_all(&path);
    path
}

/// Writes a file of a server's configuration and returns its path.
pub fn write(path: &Path, text: &str) -> PathBuf {
    fs::write(path, text).expect("a scratch directory can be written");
    path.to_owned()
}

fn open_to_all(path: &Path) {
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(path, mode).expect("a directory of our own");
}
