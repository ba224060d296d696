//! `adapter.wasm` is what the texts say, and asks for nothing but what a lowered component has.

use std::path::Path;

use wasmi::{ExternType, Module, ValType};

/// In this order. Imports come before all else.
const TEXTS: [&str; 9] = ["imports", "abi", "handles", "cli", "clocks", "random", "io", "filesystem", "sockets"];

#[test]
fn the_binary_is_the_text() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let fields: Vec<_> = TEXTS
        .iter()
        .map(|name| {
            let path = source.join(name).with_extension("wat");
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        })
        .collect();
    // The lines of an error count from the first line of the first text.
    let text = format!("(module {})", fields.concat());
    let assembled = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"));
    if std::env::var_os("WAVE_BLESS").is_some() {
        std::fs::write(source.join("adapter.wasm"), &assembled).unwrap_or_else(|error| panic!("{error}"));
        return;
    }
    assert!(
        assembled == wave_adapter::MODULE,
        "adapter.wasm is not its texts: WAVE_BLESS=1 cargo test -p wave-adapter --test assembled"
    );
}

/// All else comes from preview 1, and connections from `wave_net`: nothing is asked of the host that another program could not ask.
#[test]
fn it_imports_two_memories_realloc_preview_1_and_connections() {
    let module = module();
    let mut memories = Vec::new();
    for import in module.imports() {
        match (import.module(), import.name(), import.ty()) {
            ("own" | "guest", "memory", ExternType::Memory(_)) => memories.push(import.module()),
            ("guest", "realloc", ExternType::Func(_))
            | ("wasi_snapshot_preview1" | "wave_net", _, ExternType::Func(_)) => {}
            (from, name, _) => panic!("{from} {name}"),
        }
    }
    assert_eq!(memories, ["own", "guest"], "the host uses the first");
}

/// Functions are copied one by one, so there must be nothing else that they need.
#[test]
fn it_has_functions_and_nothing_else() {
    // Sections: types, imports, functions, exports, code, and names. So no table, no memory, no global, no start function, no segment.
    let mut sections = Vec::new();
    let mut rest = &wave_adapter::MODULE[8..];
    while let [section, tail @ ..] = rest {
        sections.push(*section);
        let end = tail.iter().position(|byte| byte & 0x80 == 0).expect("a length ends");
        let len = (0..=end).fold(0, |len, index| len | usize::from(tail[index] & 0x7f) << (7 * index));
        rest = &tail[end + 1 + len..];
    }
    assert_eq!(sections, [1, 2, 3, 7, 10, 0]);
}

/// `functions.txt` says what WASI 0.2 has, and was not written by us.
#[test]
fn its_exports_are_the_functions_of_wasi_0_2_with_their_types() {
    let written =
        |types: &[ValType]| types.iter().map(|ty| format!("{ty:?}").to_lowercase()).collect::<Vec<_>>().join(" ");
    let mut exports: Vec<_> = module()
        .exports()
        .map(|export| {
            let ExternType::Func(ty) = export.ty() else { panic!("{}", export.name()) };
            format!("{} ({}) {}", export.name(), written(ty.params()), written(ty.results())).trim_end().to_owned()
        })
        .collect();
    let mut functions: Vec<_> =
        include_str!("functions.txt").lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    assert_eq!(functions.len(), 138);
    exports.sort();
    functions.sort();
    assert_eq!(exports, functions);
}

fn module() -> Module {
    Module::new(&wasmi::Engine::default(), wave_adapter::MODULE).unwrap_or_else(|error| panic!("{error}"))
}
