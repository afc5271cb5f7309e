//! `posthouse templates`: the built-in templates as files, from which an operator makes their own.
//!
//! It must never overwrite an operator's work unasked.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use super::{Failure, Outcome};
use crate::cli::{ExportArgs, TemplatesCommand};
use crate::out::outln;

/// Runs one of the templates' commands.
pub(crate) fn run(command: &TemplatesCommand) -> Outcome {
    match command {
        TemplatesCommand::Export(args) => export(args),
    }
}

/// Writes all, or nothing if a file is there already and `--force` is not given.
fn export(args: &ExportArgs) -> Outcome {
    let files: Vec<_> = built_in()
        .map(|(name, text)| (args.dir.join(name), text))
        .collect();
    let mut paths = files.iter().map(|(path, _)| path);
    let there = paths.find(|path| path.symlink_metadata().is_ok());
    if let Some(path) = there.filter(|_| !args.force) {
        let path = path.display();
        return Err(Failure::Because(format!(
            "`{path}` is there already, so nothing was written; name another directory, or overwrite with --force"
        )));
    }
    for (path, text) in &files {
        write(path, text, args.force)
            .map_err(|error| Failure::Because(format!("`{}`: {error}", path.display())))?;
        outln!("{}", path.display());
    }
    Ok(())
}

/// Every built-in template: its path below the directory, and its text.
fn built_in() -> impl Iterator<Item = (String, &'static str)> {
    let mail = posthouse_relay::MAIL_TEMPLATES.into_iter();
    let mail = mail.chain(posthouse_plugins::BUILT_IN);
    let mail = mail.map(|(name, text)| (format!("mail/{name}"), text));
    let web = posthouse_web::BUILT_IN.into_iter();
    web.map(|(path, text)| (path.to_owned(), text)).chain(mail)
}

fn write(path: &Path, text: &str, force: bool) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut how = OpenOptions::new();
    how.write(true).create_new(!force);
    if force {
        how.create(true).truncate(true);
    }
    how.open(path)?.write_all(text.as_bytes())
}
