//! The configurations in examples/ are in order, and the lists that they name are there.

use std::path::{Path, PathBuf};

use posthouse_tests::posthouse::command;
use posthouse_tests::proc::run;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

fn read(name: &str) -> String {
    let path = examples().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn they_pass_check_without_a_warning() {
    for name in ["frontend.toml", "outbound.toml"] {
        let said = run(command(&examples().join(name)).arg("check"));
        assert!(said.contains("in order"), "{said}");
        assert!(!said.contains("warning"), "{said}");
    }
}

/// The plugins of a chain, in its order.
fn plugins(name: &str) -> Vec<String> {
    let text = read(name);
    let lines = text.lines().filter(|line| line.starts_with("plugin"));
    lines
        .filter_map(|line| line.split('"').nth(1))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_front_end_has_every_check_and_its_page_walks_through_all() {
    let page = read("../docs/frontend.md");
    let chain = plugins("frontend.toml");
    for name in &chain {
        let link = format!("[{name}](plugins/{name}.md)");
        assert!(
            page.contains(&link),
            "docs/frontend.md does not tell of {name}"
        );
    }
    for name in [
        "reverse_dns",
        "dnsbl",
        "access",
        "forged_sender",
        "verify_sender",
        "quota",
        "relay_domains",
        "attachments",
        "clamav",
    ] {
        assert!(chain.iter().any(|have| have == name), "{name} is missing");
    }
}

#[test]
fn each_list_and_secret_is_named_by_an_example() {
    let texts = read("frontend.toml") + &read("outbound.toml");
    for dir in ["lists", "secrets"] {
        for file in std::fs::read_dir(examples().join(dir)).expect("there") {
            let name = file.expect("a file").file_name();
            let named = format!("file:{dir}/{}", name.to_string_lossy());
            assert!(texts.contains(&named), "{named} is named by nobody");
        }
    }
}
