//! Sequences of hostcalls against the model; see `tests/model`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use wave_test_model as model;

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
