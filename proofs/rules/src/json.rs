//! Values, states and places as JSON: an array with the name first.

use serde_json::{Value as Json, json};
use wave_verifier::rules::{Entry, Flags, Gpr, Home, NO_ROOM, Object, Operand, Place, State, Value};

fn entry(entry: Entry) -> Json {
    match entry {
        Entry::Made(at) => json!(["Made", at]),
        Entry::Constant { table, index } => json!(["Constant", table, index]),
    }
}

pub fn object(object: Object) -> Json {
    match object {
        Object::Memory(index) => json!(["Memory", index]),
        Object::Descriptor(index) => json!(["Descriptor", index]),
        Object::Table(index) => json!(["Table", index]),
        Object::Global { mutable } => json!(["Global", mutable]),
        Object::Results => json!(["Results"]),
        Object::Slots => json!(["Slots"]),
        Object::Context => json!(["Context"]),
    }
}

pub fn value(value: Value) -> Json {
    match value {
        Value::Any => json!(["Any"]),
        Value::Number { low, span } => json!(["Number", low, span]),
        Value::Frame(at) => json!(["Frame", at]),
        Value::Saved(register) => json!(["Saved", register.0]),
        Value::Return => json!(["Return"]),
        Value::Into { object: into, low, span } => json!(["Into", object(into), low, span]),
        Value::Arena => json!(["Arena"]),
        Value::StackLimit => json!(["StackLimit"]),
        Value::Length(table) => json!(["Length", table]),
        Value::Index(table) => json!(["Index", table]),
        Value::LowIndex(table) => json!(["LowIndex", table]),
        Value::EntryOffset { table, entry: of } => json!(["EntryOffset", table, entry(of)]),
        Value::EntryField { table, entry: of, field } => json!(["EntryField", table, entry(of), field]),
        Value::Signature { table, entry: of } => json!(["Signature", table, entry(of)]),
        Value::Code { signature, entry: of } => json!(["Code", signature.0, entry(of)]),
        Value::CalleeOffset(of) => json!(["CalleeOffset", entry(of)]),
        Value::CalleeContext(of) => json!(["CalleeContext", entry(of)]),
        Value::Import(index) => json!(["Import", index]),
        Value::ImportContext(index) => json!(["ImportContext", index]),
        Value::Libcall(number) => json!(["Libcall", number]),
        Value::Status => json!(["Status"]),
        Value::EnteredCode => json!(["EnteredCode"]),
        Value::EnteredContext { field } => json!(["EnteredContext", field]),
        Value::Text { low, span } => json!(["Text", low, span]),
        Value::JumpOffset { at, count } => json!(["JumpOffset", at, count]),
        Value::JumpTarget { at, count } => json!(["JumpTarget", at, count]),
    }
}

fn home(home: Home) -> Json {
    match (home.as_register(), home.as_word()) {
        (Some(register), _) => json!(["Register", register.0]),
        (None, at) => json!(["Word", at]),
    }
}

fn operand(operand: Operand) -> Json {
    json!([operand.register.map(|register| register.0), value(operand.value)])
}

fn flags(flags: Flags) -> Json {
    match flags {
        Flags::Unknown => json!(["Unknown"]),
        Flags::Compared { left, right, bytes } => json!(["Compared", operand(left), operand(right), bytes]),
        Flags::Tested => json!(["Tested"]),
    }
}

/// Registers of which nothing is known are left out.
pub fn state(state: &State) -> Json {
    let all = || (0..16).map(Gpr);
    let known = all().map(|register| (register.0, state.get(register))).filter(|(_, value)| *value != Value::Any);
    let copies = all().filter_map(|register| Some((register.0, state.copy_of(register)?)));
    json!({
        "registers": known.map(|(number, of)| json!([number, value(of)])).collect::<Vec<_>>(),
        "copies": copies.map(|(number, of)| json!([number, home(of)])).collect::<Vec<_>>(),
        "words": state.words().iter().map(|(at, of)| json!([at, value(*of)])).collect::<Vec<_>>(),
        "touched": state.touched,
        "room": Some(state.room).filter(|room| *room != NO_ROOM),
        "flags": flags(state.flags),
        "checked": state.checked.map(|of| json!([of.table, entry(of.entry), of.signature.0])),
        "longer": state.longer,
        "pending": state.pending,
    })
}

pub fn place(place: Place) -> Json {
    match place {
        Place::Memory => json!(["Memory"]),
        Place::MemoryLength => json!(["MemoryLength"]),
        Place::TableLength(table) => json!(["TableLength", table]),
        Place::Entry { table, entry: of, field } => json!(["Entry", table, entry(of), field]),
        Place::Global { mutable } => json!(["Global", mutable]),
        Place::Results => json!(["Results"]),
        Place::Slots => json!(["Slots"]),
        Place::Field(of) => json!(["Field", value(of)]),
        Place::Frame(at) => json!(["Frame", at]),
        Place::Text { start, end } => json!(["Text", start, end]),
    }
}
