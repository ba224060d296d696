//! Calls between components, compared with what the canonical ABI's `definitions.py` does: random types, random values, and some that are
//! damaged. `COMPONENT_MODEL` is a checkout of WebAssembly/component-model.

mod common;

use common::{Host, Running, exports, lowered};
use std::path::Path;
use std::process::Command;
use wave_runtime::{Item, Stop, Trap};
use wave_test_support::cannot_run;

/// What the random values depend on.
const SEED: u32 = 20_261_128;
/// How many components, and how many values each of them passes.
const COMPONENTS: usize = 500;
const VALUES: usize = 20;

/// The number of the name under which the memory of a component is exported.
fn memory_of(module: &[u8], component: &str) -> String {
    let names = exports(module);
    let function = names.iter().find(|name| name.split('|').next() == Some(component) && !name.contains("|post"));
    let function = function.expect("both components export `look`");
    function.split_once("|memory=").map_or_else(|| "memory".to_owned(), |(_, number)| format!("memory|{number}"))
}

/// Writes a memory: zeros, and parts as `ADDRESS:BYTES,…`.
fn fill(memory: &mut [u8], parts: &str) {
    memory.fill(0);
    for part in parts.split(',').filter(|part| *part != "-") {
        let (at, bytes) = part.split_once(':').expect("an address and bytes");
        let at = usize::from_str_radix(at, 16).expect("an address");
        for (offset, byte) in bytes.as_bytes().chunks(2).enumerate() {
            let byte = std::str::from_utf8(byte).expect("digits");
            memory[at + offset] = u8::from_str_radix(byte, 16).expect("a byte");
        }
    }
}

fn memory<'r>(running: &'r mut Running, name: &str) -> &'r mut [u8] {
    let Some(Item::Memory(memory)) = running.store.export(running.instance, name) else { panic!("no {name}") };
    running.store.memory_mut(memory).expect("a memory")
}

#[test]
fn values_are_lifted_and_lowered_as_the_canonical_abi_says() {
    let Some(root) = std::env::var_os("COMPONENT_MODEL") else {
        cannot_run("set COMPONENT_MODEL to a checkout of WebAssembly/component-model");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/canonical.py");
    let numbers = [SEED.to_string(), COMPONENTS.to_string(), VALUES.to_string()];
    let mut python = Command::new("python3");
    python.arg("-B").arg(script).arg(Path::new(&root).join("design/mvp/canonical-abi")).args(numbers);
    let Ok(output) = python.output() else {
        cannot_run("there is no python3, which runs the definitions of the canonical ABI");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = String::from_utf8(output.stdout).expect("text");
    let (mut passed, mut trapped) = (0, 0);
    let (mut text, mut module, mut running) = ("", Vec::new(), None);
    let [mut caller, mut callee] = [const { String::new() }; 2];
    let mut expected = vec![0; 2 << 16];
    for line in output.lines() {
        if let Some(component) = line.strip_prefix("component ") {
            (text, module, running) = (component, lowered(component), None);
            [caller, callee] = ["caller", "callee"].map(|name| memory_of(&module, name));
            continue;
        }
        let parts: Vec<&str> = line.split(' ').collect();
        let ["case", before_caller, before_callee, after @ ..] = &parts[..] else { panic!("{line}") };
        let each = running.get_or_insert_with(|| Running::start(&module, Host::default()).expect("it starts"));
        fill(memory(each, &caller), before_caller);
        fill(memory(each, &callee), before_callee);
        let answer = each.call("g", &[]);
        match after {
            ["trap"] => {
                let is_trap = matches!(answer, Err(Stop::Trap(Trap::Unreachable | Trap::MemoryOutOfBounds)));
                assert!(is_trap, "{answer:?}\n{text}\n{line}");
                trapped += 1;
                running = None;
            }
            [after_caller, after_callee] => {
                assert_eq!(answer, Ok(Vec::new()), "{text}\n{line}");
                for (name, after) in [(&caller, after_caller), (&callee, after_callee)] {
                    fill(&mut expected, after);
                    let found = memory(each, name);
                    let differs = expected.iter().zip(&*found).position(|(expected, found)| expected != found);
                    assert_eq!(differs, None, "memory `{name}` at {differs:x?}\n{text}\n{line}");
                }
                passed += 1;
            }
            _ => panic!("{line}"),
        }
    }
    assert_eq!(passed + trapped, COMPONENTS * VALUES);
    assert!(trapped > 300, "only {trapped} traps");
    println!("{passed} values passed on, {trapped} traps");
}
