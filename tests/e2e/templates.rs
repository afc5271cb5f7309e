//! The built-in templates as an operator's own: exported, named in the configuration, changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use posthouse_tests::posthouse::{Outbound, binary, command, config_dir};
use posthouse_tests::proc::run;

fn export(dir: &Path, force: bool) -> Output {
    let mut command = Command::new(binary());
    command.args(["templates", "export"]).arg(dir);
    if force {
        command.arg("--force");
    }
    command.output().expect("it starts")
}

/// The files below a directory of directories, by their path there.
fn files(dir: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for part in fs::read_dir(dir).expect("a directory") {
        let part = part.expect("an entry").path();
        for file in fs::read_dir(&part).expect("a directory") {
            let path = file.expect("an entry").path();
            let name = path.strip_prefix(dir).expect("below").display().to_string();
            files.insert(name, fs::read_to_string(&path).expect("text"));
        }
    }
    files
}

#[test]
fn every_template_is_exported_as_it_is_built_in() {
    let dir = config_dir();
    let to = dir.path().join("new/templates");
    let said = export(&to, false);
    assert!(said.status.success(), "{said:?}");
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates");
    let (exported, ours) = (files(&to), files(&ours));
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&exported), names(&ours));
    for (name, text) in &exported {
        assert!(
            ours.get(name) == Some(text),
            "{name} is not as it is built in"
        );
    }
    let said = String::from_utf8(said.stdout).expect("text");
    let told: Vec<_> = said.lines().map(|line| Path::new(line).exists()).collect();
    assert_eq!(told, vec![true; ours.len()], "{said}");
}

#[test]
fn an_operators_work_is_not_overwritten_unasked() {
    let dir = config_dir();
    let own = dir.path().join("mail/letter.txt");
    fs::create_dir(dir.path().join("mail")).expect("made");
    fs::write(&own, "ours").expect("written");
    let said = export(dir.path(), false);
    assert_eq!(said.status.code(), Some(1));
    let why = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        why.contains("letter.txt") && why.contains("--force"),
        "{why}"
    );
    assert_eq!(files(dir.path()).len(), 1, "nothing else was written");
    assert!(export(dir.path(), true).status.success());
    assert_ne!(fs::read_to_string(&own).expect("text"), "ours");
}

#[test]
fn exported_templates_can_be_used_and_changed() {
    let dir = config_dir();
    assert!(
        export(&dir.path().join("templates"), false)
            .status
            .success()
    );
    let parts = Outbound::new(([127, 0, 0, 1], 9).into(), ([127, 0, 0, 1], 9).into());
    let config = dir.path().join("posthouse.toml");
    let toml = format!("templates = \"templates\"\n{}", parts.toml());
    fs::write(&config, toml).expect("written");
    let said = run(command(&config).arg("check"));
    assert!(said.contains("in order"), "{said}");
    let words = dir.path().join("templates/words/de.toml");
    fs::write(&words, "[home]\ntitel = \"Moin\"\n").expect("written");
    let said = command(&config).arg("check").output().expect("it starts");
    let why = String::from_utf8_lossy(&said.stderr).into_owned();
    assert_eq!(said.status.code(), Some(1), "{why}");
    assert!(
        why.contains("words/de.toml: home.titel: no page uses these words"),
        "{why}"
    );
}
