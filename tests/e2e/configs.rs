//! Configurations with a fault, a file each in `tests/configs`: the first line says what
//! `posthouse check` must say of it, `# expect:` with exit 1, `# warns:` with exit 0.

use std::path::{Path, PathBuf};
use std::process::Command;

use posthouse_tests::posthouse::binary;

fn check(file: &Path) -> (Option<i32>, String) {
    let output = Command::new(binary())
        .args(["check", "--config"])
        .arg(file)
        .output()
        .expect("it starts");
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    (output.status.code(), said)
}

fn files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let entries = std::fs::read_dir(dir).expect("there");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    files
}

#[test]
fn each_fault_is_named() {
    let mut seen = 0;
    for file in files() {
        let text = std::fs::read_to_string(&file).expect("readable");
        let first = text.lines().next().unwrap_or_default();
        let (code, said) = check(&file);
        if let Some(want) = first.strip_prefix("# expect: ") {
            assert_eq!(code, Some(1), "{}: {said}", file.display());
            assert!(
                said.contains(want),
                "{}: wanted {want:?}\n{said}",
                file.display()
            );
            assert!(said.contains(&file.display().to_string()), "{said}");
        } else {
            let want = first
                .strip_prefix("# warns: ")
                .expect("a first line that says what");
            assert_eq!(code, Some(0), "{}: {said}", file.display());
            assert!(
                said.contains("warning: ") && said.contains(want),
                "{}: {said}",
                file.display()
            );
        }
        seen += 1;
    }
    assert!(seen > 20, "{seen} files");
}

#[test]
fn the_example_is_in_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (code, said) = check(&root.join("posthouse.example.toml"));
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_missing_file_says_where_it_was_looked_for() {
    let (code, said) = check(Path::new("/nonexistent/posthouse.toml"));
    assert_eq!(code, Some(1));
    assert!(
        said.contains("/nonexistent/posthouse.toml") && said.contains("No such file"),
        "{said}"
    );
}
