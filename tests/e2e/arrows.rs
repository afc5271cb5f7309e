//! The arrows between the rooms, held against what cargo knows.

use std::collections::BTreeSet;

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Each room and all rooms that it may use. Tests may use any.
const ARROWS: [(&str, &[&str]); 7] = [
    ("posthouse-hook", &[]),
    ("posthouse-store", &["posthouse-hook"]),
    ("posthouse-front", &["posthouse-hook"]),
    ("posthouse-plugins", &["posthouse-hook", "posthouse-store"]),
    ("posthouse-relay", &["posthouse-hook", "posthouse-store"]),
    ("posthouse-web", &["posthouse-hook", "posthouse-store"]),
    (
        "posthouse",
        &[
            "posthouse-front",
            "posthouse-hook",
            "posthouse-plugins",
            "posthouse-relay",
            "posthouse-store",
            "posthouse-web",
        ],
    ),
];

/// Crates that only one room may use, and which.
const ONLY: [(&str, &str); 3] = [
    ("rusqlite", "posthouse-store"),
    ("lettre", "posthouse-relay"),
    ("clap", "posthouse"),
];

fn dependencies() -> Vec<(String, BTreeSet<String>)> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let metadata = MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .other_options(vec!["--offline".to_owned()])
        .exec()
        .expect("cargo metadata answers");
    let normal = |package: &cargo_metadata::Package| {
        let used = package.dependencies.iter();
        used.filter(|d| d.kind == DependencyKind::Normal)
            .map(|d| d.name.clone())
            .collect()
    };
    let packages = metadata.packages.iter();
    packages.map(|p| (p.name.to_string(), normal(p))).collect()
}

#[test]
fn no_room_uses_what_it_may_not() {
    let dependencies = dependencies();
    for (room, allowed) in ARROWS {
        let (_, used) = dependencies
            .iter()
            .find(|(name, _)| name == room)
            .unwrap_or_else(|| panic!("{room} is a member"));
        let rooms = used.iter().filter(|name| name.starts_with("posthouse"));
        let forbidden: Vec<_> = rooms
            .filter(|name| !allowed.contains(&name.as_str()))
            .collect();
        assert!(forbidden.is_empty(), "{room} uses {forbidden:?}");
    }
}

#[test]
fn sql_smtp_clients_and_arguments_have_one_room_each() {
    for (name, used) in dependencies() {
        for (library, room) in ONLY {
            let tests = name == "posthouse-tests";
            assert!(
                tests || name == room || !used.contains(library),
                "{name} uses {library}"
            );
        }
    }
}
