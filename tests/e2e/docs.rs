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

/// The section of docs/templates.md that is about a file; its heading names it, perhaps with others.
fn section<'a>(docs: &'a str, file: &str) -> &'a str {
    let mut sections = docs.split("\n### ");
    let found = sections.find(|section| {
        let heading = section.lines().next().unwrap_or_default();
        heading.contains(&format!("`{file}`"))
    });
    found.unwrap_or_else(|| panic!("docs/templates.md has no heading with {file}"))
}

/// The variables that a text shows, an element of a list as `list[]`.
fn shown(text: &str) -> Vec<String> {
    let loops: Vec<_> = text
        .split("{% for ")
        .skip(1)
        .filter_map(|rest| {
            rest.split(" -%}")
                .next()?
                .split(" %}")
                .next()?
                .split_once(" in ")
        })
        .collect();
    let shown = text
        .split("{{ ")
        .skip(1)
        .filter_map(|rest| rest.split(" }}").next());
    shown
        .map(|name| {
            let of = |(one, list): &(&str, &str)| {
                let field = name.strip_prefix(one)?.strip_prefix('.')?;
                Some(format!("{list}[].{field}"))
            };
            loops.iter().find_map(of).unwrap_or_else(|| name.to_owned())
        })
        .collect()
}

#[test]
fn every_variable_of_our_mail_is_documented() {
    let docs = read("docs/templates.md");
    let texts = posthouse_relay::MAIL_TEMPLATES.into_iter();
    for (name, text) in texts.chain(posthouse_plugins::BUILT_IN) {
        let section = section(&docs, &format!("mail/{}", name.replace(".de.", ".")));
        for variable in shown(text) {
            let row = format!("\n| `{variable}` |");
            assert!(
                section.contains(&row),
                "docs/templates.md, {name}: lacks {variable}"
            );
        }
    }
}

#[test]
fn what_the_mails_of_choices_know_is_documented() {
    let docs = read("docs/templates.md");
    let section = section(&docs, "mail/link.txt");
    let facts = serde_json::to_value(posthouse_relay::ErrandFacts::default());
    let facts = facts.expect("facts");
    for name in facts.as_object().expect("facts").keys() {
        assert!(section.contains(&format!("\n| `{name}` |")), "{name}");
    }
}
