//! Sequences of hostcalls against the model; see `wasi/host/tests/model`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;

#[path = "../../wasi/host/tests/model/mod.rs"]
mod model;

thread_local! {
    static MACHINE: RefCell<model::Machine> = RefCell::new(model::Machine::new());
}

fuzz_target!(|bytes: &[u8]| {
    MACHINE.with_borrow_mut(|machine| {
        let sequence = machine.sequence(bytes);
        if let Err(violation) = machine.run(&sequence) {
            let (sequence, violation) = model::smallest(machine, &sequence, violation);
            eprintln!("{violation}\n  {:?}", sequence.limits);
            for (at, op) in sequence.ops.iter().enumerate() {
                eprintln!("  {at}: {op:?}");
            }
            std::process::abort();
        }
    });
});
