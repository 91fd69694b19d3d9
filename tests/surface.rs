//! The public face as it stands, against the list in `surface/list.txt`: what programs are compiled against does not
//! change by accident. Where it is to change, `UPDATE=1 cargo test --test surface` writes the list anew; a line that is
//! lost or altered needs a version that Cargo takes for incompatible. (Options have a setter for each field, and a test
//! for that.) And what `lib.rs` says of it is true.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// The sources of one module, without its tests.
fn sources(module: &str) -> Vec<String> {
    fn collect(path: &Path, files: &mut Vec<PathBuf>) {
        if path.is_dir() {
            for entry in fs::read_dir(path).expect("a folder") {
                collect(&entry.expect("an entry").path(), files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path.to_owned());
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    for path in
        [root.join(module), root.join(format!("{module}.rs"))].into_iter().filter(|path| path.exists())
    {
        collect(&path, &mut files);
    }
    files.retain(|file| !file.iter().any(|part| part == "tests" || part == "tests.rs"));
    let texts = files.iter().map(|file| fs::read_to_string(file).expect("a source file"));
    texts.map(|text| text.split("\nmod tests {").next().unwrap_or_default().to_owned()).collect()
}

fn lib() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("lib.rs")
}

/// What a source file re-exports: modules, and names.
fn reexports(text: &str) -> Vec<(String, Vec<String>)> {
    let uses = text.split("\npub use ").skip(1).map(|rest| rest.split(';').next().unwrap_or_default());
    let module = |text: &str| {
        let (module, names) = text.split_once("::").expect("a path");
        let names = names.trim_matches(['{', '}']).split(',').map(|name| name.trim().to_owned());
        (module.to_owned(), names.filter(|name| !name.is_empty()).collect())
    };
    uses.map(module).collect()
}

/// The modules of `lib.rs` that its pages show, but for those that consist of text alone.
fn public_modules() -> Vec<String> {
    let lib = lib();
    let lines: Vec<_> = lib.lines().collect();
    let shown = lines.windows(2).filter(|pair| pair[0] != "#[doc(hidden)]");
    let names = shown.filter_map(|pair| pair[1].strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

/// What a public module defines itself, and what it re-exports of those below it.
fn names_of_module(module: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/{module}.rs"));
    let text = fs::read_to_string(path).expect("a module in a file");
    let defined = |line: &str| {
        let definition = line.strip_prefix("pub ")?;
        let (kind, rest) = definition.split_once(' ')?;
        assert!(
            kind != "mod" || rest.ends_with("{}"),
            "{line}: only modules of text alone are within others"
        );
        (!matches!(kind, "use" | "mod")).then(|| name_of(rest).to_owned())
    };
    let reexported = reexports(&text).into_iter().flat_map(|(_, names)| names);
    text.lines().filter_map(defined).chain(reexported).collect()
}

/// Everything that programs can name: the module in `src/` that has it, its path, and its name.
fn exports() -> Vec<(String, String, String)> {
    let of_crate = reexports(&lib())
        .into_iter()
        .flat_map(|(module, names)| names.into_iter().map(move |name| (module.clone(), name.clone(), name)));
    let of_modules = public_modules().into_iter().flat_map(|module| {
        let names = names_of_module(&module).into_iter();
        names.map(move |name| (module.clone(), format!("{module}::{name}"), name))
    });
    of_crate.chain(of_modules).collect()
}

/// The name of the type that a line of code defines, or of which an `impl` is.
fn name_of(head: &str) -> &str {
    let end = head.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(head.len());
    &head[..end]
}

/// A declaration in one line.
fn flat(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.replace("( ", "(")
        .replace(", )", ")")
        .replace(",)", ")")
        .trim_end_matches([' ', ',', '{'])
        .to_owned()
}

/// A type of a module, and all that can be used of it.
#[derive(Default)]
struct Item {
    /// `struct`, `enum`, …; with its parameters.
    head: String,
    attributes: Vec<String>,
    members: Vec<String>,
}

/// Reads formatted code: items begin at the left, members four columns from there, and end where they began.
fn read_item(name: &str, sources: &[String]) -> Item {
    let mut item = Item::default();
    for source in sources {
        let mut attributes = Vec::new();
        let mut lines = source.lines().peekable();
        while let Some(line) = lines.next() {
            let kinds = ["pub struct ", "pub enum ", "pub trait ", "pub type ", "pub const ", "pub fn "];
            let defined = kinds.iter().find_map(|kind| line.strip_prefix(kind));
            let is_definition = defined.is_some_and(|head| name_of(head) == name);
            if line.starts_with("#[derive") || line.starts_with("#[non_exhaustive") {
                attributes.push(line.to_owned());
                continue;
            }
            let block = line.strip_prefix("impl").map(|rest| match rest.strip_prefix('<') {
                Some(parameters) => parameters.split_once("> ").map_or("", |(_, head)| head),
                None => rest.trim_start(),
            });
            let of_trait = block.and_then(|head| head.split_once(" for ")).map(|(_, head)| head);
            if of_trait.is_some_and(|head| name_of(head) == name) {
                item.members.push(flat(line.trim_end_matches('}')));
            }
            let is_block = of_trait.is_none() && block.is_some_and(|head| name_of(head) == name);
            if is_definition {
                let mut head = line.to_owned();
                // The declaration of a function ends with its body.
                while line.starts_with("pub fn") && !head.ends_with(['{', ';']) {
                    head.push(' ');
                    head.push_str(lines.next().expect("a body"));
                }
                item.head = flat(head.strip_prefix("pub ").unwrap_or(&head));
                item.attributes.append(&mut attributes);
            }
            if !line.starts_with("//") {
                attributes.clear();
            }
            if !(is_definition || is_block) || !line.ends_with('{') || line.starts_with("pub fn") {
                continue;
            }
            let is_free = is_definition && !line.starts_with("pub struct");
            while let Some(line) = lines.next_if(|line| *line != "}") {
                let Some(member) =
                    line.strip_prefix("    ").filter(|rest| !rest.starts_with([' ', '/', '#', '}']))
                else {
                    continue;
                };
                let Some(member) = member.strip_prefix("pub ").or(is_free.then_some(member)) else {
                    continue;
                };
                let mut member = member.to_owned();
                let is_function = member.starts_with("fn ") || member.starts_with("const fn ");
                while is_function && !member.ends_with(['{', ';', '}']) {
                    member.push_str(lines.next().expect("the rest of a declaration"));
                }
                if is_function && member.ends_with('}') {
                    member.truncate(member.find(" {").unwrap_or(member.len()));
                }
                item.members.push(flat(&member));
            }
        }
    }
    item
}

/// All of it, by its path.
fn items() -> Vec<(String, Item)> {
    let mut known = HashMap::new();
    let mut item = |(module, path, name): (String, String, String)| {
        let sources = known.entry(module.clone()).or_insert_with(|| sources(&module));
        (path, read_item(&name, sources))
    };
    exports().into_iter().map(&mut item).collect()
}

#[test]
fn the_public_face_is_as_listed() {
    let mut lines = BTreeSet::new();
    for (name, item) in items() {
        assert!(!item.head.is_empty(), "{name} is defined in its module");
        let attributes: String = item.attributes.iter().map(|attribute| format!("{attribute} ")).collect();
        lines.insert(format!("{name}: {attributes}{}", item.head));
        lines.extend(item.members.iter().map(|member| format!("{name}: {member}")));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/surface/list.txt");
    if std::env::var_os("UPDATE").is_some() {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(&path, text).expect("the list is written");
    }
    let listed = fs::read_to_string(&path).expect("the list");
    let listed: BTreeSet<_> = listed.lines().map(str::to_owned).collect();
    let lost: Vec<_> = listed.difference(&lines).collect();
    let new: Vec<_> = lines.difference(&listed).collect();
    assert!(lost.is_empty() && new.is_empty(), "lost: {lost:#?}\nnew: {new:#?}");
}

/// The types that a paragraph of "What may change" names.
fn named(paragraph: &str) -> BTreeSet<String> {
    paragraph.split("[`").skip(1).filter_map(|rest| Some(rest.split_once("`]")?.0.to_owned())).collect()
}

#[test]
fn what_may_change_is_as_the_docs_say() {
    let lib = lib().replace("\n//! ", " ").replace("\n//!", "\n");
    let paragraph = |start: &str| {
        let (_, rest) = lib.split_once(start).unwrap_or_else(|| panic!("{start} is missing"));
        rest.split(". They are").next().unwrap_or_default().to_owned()
    };
    let structs = named(&paragraph("- The structs "));
    let enums = named(&paragraph("- The enums "));
    let has = |item: &Item| item.attributes.iter().any(|attribute| attribute == "#[non_exhaustive]");
    let names = |keyword: &str, is_wanted: &dyn Fn(&Item) -> bool| -> BTreeSet<String> {
        let all = items().into_iter().filter(|(_, item)| item.head.starts_with(keyword) && is_wanted(item));
        all.map(|(name, _)| name).collect()
    };
    // `impl<const LENGTH: usize> …` has a colon, and is no field.
    let is_field =
        |member: &String| !member.starts_with("impl") && !member.contains('(') && member.contains(": ");
    let has_fields = |item: &Item| item.members.iter().any(is_field);
    assert_eq!(names("struct", &has_fields), structs, "all that have public fields");
    assert!(structs.is_subset(&names("struct", &has)));
    assert_eq!(names("enum", &has), enums);
    assert_eq!(names("enum", &|_| true), enums, "all enums");
}
