//! Docs and tables agree.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn the_table_of_hook_points_is_the_code_s() {
    let docs = read("docs/hooks.md");
    let table = posthouse_hook::point::table();
    assert!(
        docs.contains(&table),
        "docs/hooks.md should hold what `posthouse chain --hooks` prints:\n{table}"
    );
}

#[test]
fn every_plugin_has_a_page() {
    for name in posthouse_plugins::names() {
        let page = read(&format!("docs/plugins/{name}.md"));
        let steps = page.lines().filter(|line| line.starts_with("plugin"));
        let shown = steps
            .filter(|line| line.contains(&format!("\"{name}\"")))
            .count();
        assert!(shown > 0, "docs/plugins/{name}.md has no example of {name}");
    }
}

#[test]
fn the_readme_stays_short() {
    assert!(read("README.md").lines().count() <= 120);
}
