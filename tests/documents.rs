//! What the documents say of the repository is true: tests that they name exist, figures of the sources are near, and
//! the version of Rust is one everywhere. (Links are checked by `.ci/links.js`.)

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn chapters() -> Vec<(String, String)> {
    let folder = fs::read_dir(root().join("src/guide")).expect("a folder");
    let paths = folder.map(|entry| entry.expect("an entry").path());
    let chapters = paths.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let name = |path: &Path| path.strip_prefix(root()).expect("below the root").display().to_string();
    chapters.map(|path| (name(&path), fs::read_to_string(&path).expect("text"))).collect()
}

/// What stands in a text between backquotes, in one line.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[test]
fn tests_that_are_named_exist() {
    let chapters = chapters();
    let named = chapters.iter().flat_map(|(_, text)| quoted(text)).filter_map(|it| it.split_once(".rs::"));
    let mut count = 0;
    for (file, test) in named {
        let file = format!("{file}.rs");
        assert!(read(&file).contains(&format!("fn {test}(")), "{test} in {file}");
        count += 1;
    }
    assert!(count > 40, "{count}");
}

/// A file may be named by itself, behind one with its folder.
#[test]
fn files_that_are_named_exist() {
    let mut files = Vec::new();
    sources(root().join("src"), &mut files);
    let mut count = 0;
    for (chapter, text) in chapters() {
        for name in quoted(&text).filter(|it| it.ends_with(".rs") && !it.contains(['*', ' '])) {
            let is_there = root().join(name).exists() || files.iter().any(|file| file.ends_with(name));
            assert!(is_there, "{name} in {chapter}");
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
}

/// Each chapter is a page, and in the list of the guide and of the README.
#[test]
fn every_chapter_is_listed() {
    let (index, readme, pages) = (read("src/guide/index.md"), read("README.md"), read("src/guide.rs"));
    let chapters = chapters();
    assert!(chapters.len() > 15);
    for (path, text) in chapters.iter().filter(|(path, _)| !path.ends_with("index.md")) {
        let file = path.strip_prefix("src/").expect("below src");
        let name = file.trim_start_matches("guide/").trim_end_matches(".md");
        assert!(index.contains(&format!("| [`{name}`] |")), "{name} in the guide's list");
        assert!(readme.contains(&format!("]({path})")), "{name} in the README");
        assert!(pages.contains(&format!("include_str!(\"{file}\")")), "{name} among the pages");
        assert!(text.starts_with("# "), "{name} has a title");
    }
}

#[test]
fn the_version_of_rust_is_one() {
    let manifest = read("Cargo.toml");
    let version = manifest.split("rust-version = \"").nth(1).and_then(|rest| rest.split('"').next());
    let version = version.expect("a version");
    assert!(read("src/guide/platforms.md").contains(&format!("**Rust** {version} or later")));
    assert!(read("src/lib.rs").contains(&format!("Rust {version} or later")));
}

/// The files of a path, without those of tests.
fn sources(path: PathBuf, files: &mut Vec<PathBuf>) {
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    if path.is_dir() && name != "tests" {
        fs::read_dir(&path)
            .expect("a folder")
            .for_each(|entry| sources(entry.expect("an entry").path(), files));
    } else if name.ends_with(".rs") && !name.starts_with("test") {
        files.push(path);
    }
}

/// Lines of code: without tests at the end, comments and empty lines.
fn count_lines(path: &str) -> usize {
    let mut files = Vec::new();
    sources(root().join(path), &mut files);
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    let count = |file: &PathBuf| {
        let text = fs::read_to_string(file).expect("a source file");
        text.lines().take_while(|line| *line != "mod tests {").filter(is_code).count()
    };
    files.iter().map(count).sum()
}

/// Within a fifth: the figures tell a reader how long it takes.
#[test]
fn the_lines_to_read_are_about_as_many_as_is_said() {
    let text = read("src/guide/auditing.md");
    let said = |part: &str| {
        let rows = text.lines().filter(|line| line.contains(part) && line.matches('|').count() == 5);
        let cells: Vec<_> = rows.filter_map(|row| row.split('|').nth(3)).collect();
        let [cell] = cells.as_slice() else { panic!("{part}: {cells:?}") };
        cell.trim().replace(',', "").parse::<usize>().unwrap_or_else(|error| panic!("{part}: {error}"))
    };
    let engine = said("`src/engine/budget.rs`")
        + said("`src/engine/session.rs`")
        + said("`src/engine/backpressure.rs`")
        + said("`src/engine`, the rest");
    let parts = ["src/http", "src/websocket", "src/sockjs", "src/collections"];
    let parts = parts.map(|path| (path, said(&format!("`{path}`"))));
    for (path, said) in parts.into_iter().chain([("src/engine", engine)]) {
        let count = count_lines(path);
        assert!(said.abs_diff(count) * 5 <= count, "{path}: {said}, and it is {count}");
    }
}
