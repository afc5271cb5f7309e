//! A secret in the configuration: written there, or `file:` and the path of a file that holds it. It is
//! never part of an error.

use std::path::Path;

use crate::options::{BadValue, BuildError};

/// Longest secret in octets.
const MAX: usize = 4096;

/// The secret itself; relative paths start at `dir`.
pub(crate) fn read(key: &str, written: &str, dir: &Path) -> Result<String, BuildError> {
    let Some(path) = written.strip_prefix("file:") else {
        return check(key, "the secret in the configuration", written);
    };
    let text = std::fs::read_to_string(dir.join(path)).map_err(|error| {
        let way_out = "write file: and the path of a file that holds it";
        BadValue::new(key, written, error, way_out)
    })?;
    check(key, written, text.trim_end_matches(['\r', '\n']))
}

/// `shown` stands in the error instead of the secret.
fn check(key: &str, shown: &str, secret: &str) -> Result<String, BuildError> {
    if !secret.is_empty() && secret.len() <= MAX && !secret.contains(char::is_control) {
        return Ok(secret.to_owned());
    }
    let problem = "empty, too long, or of more than one line";
    Err(BadValue::new(key, shown, problem, "write it on one line").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("s"), "hunter 2\n").expect("written");
        let read = |written| read("password", written, dir.path());
        assert_eq!(read("file:s").expect("valid"), "hunter 2");
        assert_eq!(read("plain").expect("valid"), "plain");
        let error = read("hunter\n2").expect_err("two lines").to_string();
        assert!(!error.contains("hunter"), "{error}");
        let error = read("file:none").expect_err("no file").to_string();
        assert!(error.contains("file:none"), "{error}");
    }
}
