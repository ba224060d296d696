//! `collector.wasm` is what `collector.wat` says, and asks for nothing but its roots.

use std::path::Path;

#[test]
fn the_binary_is_the_text() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/collector.wat");
    let assembled = wat::parse_file(&source).unwrap_or_else(|error| panic!("{error}"));
    if std::env::var_os("WAVE_BLESS").is_some() {
        std::fs::write(source.with_extension("wasm"), &assembled).unwrap_or_else(|error| panic!("{error}"));
        return;
    }
    assert!(
        assembled == wave_collector::MODULE,
        "collector.wasm is not collector.wat: WAVE_BLESS=1 cargo test -p wave-collector --test assembled"
    );
}

/// Several instances share one heap, so no state may lie elsewhere; and nothing but the import leads out of the module.
#[test]
fn it_has_one_import_three_exports_and_no_state_of_its_own() {
    let module =
        wasmi::Module::new(&wasmi::Engine::default(), wave_collector::MODULE).unwrap_or_else(|error| panic!("{error}"));
    let imports: Vec<_> = module.imports().map(|import| format!("{} {}", import.module(), import.name())).collect();
    assert_eq!(imports, ["wave roots"]);
    let exports: Vec<_> = module.exports().map(|export| export.name().to_owned()).collect();
    assert_eq!(exports, ["allocate", "collect", "heap"]);

    // Sections: types, imports, functions, one memory, exports, code, and names. So no table, no global, no data, no start function.
    let mut sections = Vec::new();
    let mut rest = &wave_collector::MODULE[8..];
    while let [section, tail @ ..] = rest {
        sections.push(*section);
        let end = tail.iter().position(|byte| byte & 0x80 == 0).expect("a length ends");
        let len = (0..=end).fold(0, |len, index| len | usize::from(tail[index] & 0x7f) << (7 * index));
        rest = &tail[end + 1 + len..];
    }
    assert_eq!(sections, [1, 2, 3, 5, 7, 10, 0]);
}
