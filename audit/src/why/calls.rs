//! Questions about system calls and WASI functions.

use super::answer::{Answer, Layer, Reply, Verdict};
use super::kernel::{kernel_layers_off, kernel_policy};
use wave_engine::Failure;
use wave_engine::policy::PolicyDocument;
use wave_policy::file::Edit;
use wave_policy::{
    ConnectPorts, Function, Need, Protocol, Resolver, Role, Surface, SyscallRule, all_functions, all_rules,
};

/// Adds a finding on whether a policy allows these imports. Returns the change that adds those that are missing.
pub fn add_imports(answer: &mut Answer, policy: &PolicyDocument, needed: &[&str]) -> Option<Edit> {
    let Some(allowed) = &policy.values.functions else {
        let what = format!("any function may be imported, including {}", needed.join(", "));
        answer.add(Layer::Policy, Verdict::Allows, None, what);
        return None;
    };
    let rule = policy.origin("wasi.functions");
    let missing: Vec<_> = needed.iter().copied().filter(|name| !allowed.iter().any(|other| other == name)).collect();
    if missing.is_empty() {
        answer.add(Layer::Policy, Verdict::Allows, rule, format!("{} may be imported", needed.join(", ")));
        return None;
    }
    let what = format!("a module that imports {} is refused before it runs, with status 125", missing.join(", "));
    answer.add(Layer::Policy, Verdict::Denies, rule, what);
    if policy.values.os.is_some() {
        answer.notes.push("`[os]` changes with the imports: take it again from `wave policy gen MODULE`".to_owned());
    }
    // A list in the file replaces the list of its profile, so a new list starts with all functions of the profile.
    let mut items: Vec<&str> = Vec::new();
    if policy.file.line("wasi.functions").is_none() {
        items.extend(allowed.iter().map(String::as_str));
    }
    items.extend(&missing);
    policy.file.add_items("wasi", "functions", &items)
}

/// Adds a finding on whether the filter allows the system calls of these functions.
pub fn add_filter(answer: &mut Answer, policy: &PolicyDocument, needed: &[&str]) {
    if let Some(off) = kernel_layers_off(policy) {
        return answer.add(Layer::Seccomp, Verdict::Silent, None, off);
    }
    let sealed = kernel_policy(policy);
    let active: Vec<_> = sealed.rules(true).map(|rule| rule.id).collect();
    let functions = all_functions().iter().filter(|function| needed.contains(&function.name));
    let mut wanted: Vec<_> = functions.flat_map(|function| rules_of(function, sealed.resolver)).collect();
    wanted.sort_by_key(|rule| rule.id);
    wanted.dedup();
    let ids = |rules: &[&SyscallRule]| rules.iter().map(|rule| rule.id).collect::<Vec<_>>().join(", ");
    let missing: Vec<_> = wanted.iter().copied().filter(|rule| !active.contains(&rule.id)).collect();
    if wanted.is_empty() {
        answer.add(Layer::Seccomp, Verdict::Silent, None, "no system call is made");
    } else if missing.is_empty() {
        answer.add(Layer::Seccomp, Verdict::Allows, None, format!("the filter has {}", ids(&wanted)));
    } else {
        answer.add(Layer::Seccomp, Verdict::Denies, None, format!("the filter lacks {}", ids(&missing)));
    }
}

fn rules_of(function: &Function, resolver: Resolver) -> Vec<&'static SyscallRule> {
    let other = match resolver {
        Resolver::Kernel => &["openat2"][..],
        Resolver::Manual => &["openat", "readlinkat"],
    };
    let resolving = all_rules().iter().filter(|rule| function.resolves && other.contains(&rule.id));
    function.rules.iter().chain(resolving).collect()
}

/// Answers whether a module may import a function and whether a call of it can have an effect.
pub fn function(policy: &PolicyDocument, name: &str) -> Reply {
    let mut answer = Answer::default();
    let edit = add_imports(&mut answer, policy, &[name]);
    let found = all_functions().iter().find(|function| function.name == name);
    if let Some(function) = found {
        let met = is_met(policy, function.need);
        let (what, advice) = match function.need {
            Need::Nothing => ("it needs no grant", None),
            Need::Grant => ("it needs a directory", Some("grant a directory, in an [[fs]] of the policy")),
            Need::WritableGrant => (
                "it needs a writable directory",
                Some(
                    "grant a directory with access = \"rw\", in an [[fs]] of the policy; \"append\" is enough for some calls",
                ),
            ),
            Need::Listener => ("it needs a listening socket", Some("name its address in `listen` of [net]")),
            Need::Socket => (
                "it needs a listening socket or a connection",
                Some("name an address in `listen` of [net], or in `connect`"),
            ),
        };
        let granted = if met { "" } else { ", and none is granted: each call ends in an error" };
        answer.add(Layer::Monitor, Verdict::of(met), None, format!("{what}{granted}"));
        answer.advice = advice.filter(|_| !met).map(str::to_owned);
    }
    add_filter(&mut answer, policy, &[name]);
    Reply { answer, edit }
}

fn is_met(policy: &PolicyDocument, need: Need) -> bool {
    match need {
        Need::Nothing => true,
        Need::Grant => !policy.values.fs.is_empty(),
        Need::WritableGrant => policy.values.fs.iter().any(|directory| directory.access.is_writable()),
        Need::Listener => listens(policy),
        Need::Socket => listens(policy) || policy.values.connect.iter().flatten().next().is_some(),
    }
}

fn listens(policy: &PolicyDocument) -> bool {
    policy.values.listen.iter().flatten().next().is_some()
}

/// Answers whether the filter of a run can have a rule for a system call.
///
/// # Errors
/// 2 if there is no such system call.
pub fn system_call(policy: &PolicyDocument, name: &str) -> Result<Reply, Failure> {
    if !(0..1024).any(|number| wave_sandbox::call_name(number) == Some(name)) {
        return Err(Failure::usage(format!("there is no system call `{name}`"))
            .at("--syscall")
            .fix("write its name as in `man 2 syscalls`, such as openat"));
    }
    let mut answer = Answer::default();
    let sealed = kernel_policy(policy);
    let active: Vec<_> = sealed.rules(true).map(|rule| rule.id).collect();
    let listed = |rule: &SyscallRule| {
        let rows = policy.values.os.as_ref().map(|os| &os.rows);
        rows.is_none_or(|rows| rows.keys().any(|id| id.rsplit('.').next() == Some(rule.id)))
    };
    let mut allowed = false;
    for rule in all_rules().iter().filter(|rule| rule.call == name) {
        let guest = active.contains(&rule.id) && listed(rule);
        allowed |= guest;
        let condition = if rule.when.is_empty() { String::new() } else { format!(" where {}", rule.when) };
        let verdict = if guest { "active" } else { "not active" };
        answer.notes.push(format!("{}{condition}: {verdict}; {}", rule.id, rule_source(rule, &sealed)));
    }
    let functions: Vec<_> = wave_policy::functions_using(name).collect();
    if let Some(off) = kernel_layers_off(policy) {
        answer.add(Layer::Seccomp, Verdict::Silent, None, off);
    } else if allowed {
        let mut what = "the filter allows it if one of these active rules matches".to_owned();
        if policy.values.os.is_none() {
            what += ", and if the module imports a function that needs the rule";
        }
        answer.add(Layer::Seccomp, Verdict::Allows, None, what);
    } else {
        let what = "the filter has no rule for it: the process ends with status 159 before the kernel runs the call";
        answer.add(Layer::Seccomp, Verdict::Denies, None, what);
        answer.advice = Some(match functions.as_slice() {
            [] => "no WASI function uses it, so no line of a policy allows it".to_owned(),
            functions => format!(
                "no line of a policy allows it by itself: it comes with {}, if the module imports that, `wasi.functions` allows it and \
                 what it needs is granted",
                names(functions)
            ),
        });
    }
    Ok(Reply { answer, edit: None })
}

fn names(functions: &[&Function]) -> String {
    functions.iter().map(|function| function.name).collect::<Vec<_>>().join(" or ")
}

/// A policy with a connection, of a module that asks for one.
fn connecting() -> wave_policy::Policy {
    let ports = ConnectPorts { protocol: Protocol::Tcp, first: 443, last: 443 };
    let surface = Surface::default().with_connections(true);
    wave_policy::Policy { surface, connections: vec![ports], ..wave_policy::Policy::default() }
}

/// Describes which functions or settings add a rule to a filter.
fn rule_source(rule: &SyscallRule, sealed: &wave_policy::Policy) -> String {
    let need = |need: Need| match need {
        Need::Nothing => "",
        Need::Grant => " with a directory",
        Need::WritableGrant => " with a writable directory",
        Need::Listener => " with a listening socket",
        Need::Socket => " with a listening socket or a connection",
    };
    let functions = all_functions().iter().filter(|function| rules_of(function, sealed.resolver).contains(&rule));
    let mut by: Vec<_> = functions.map(|function| format!("{}{}", function.name, need(function.need))).collect();
    let every = wave_policy::Policy::default();
    let has = |policy: &wave_policy::Policy, growable| policy.rules(growable).any(|other| other.id == rule.id);
    if has(&every, false) {
        by.insert(0, "every run".to_owned());
    } else if has(&every, true) {
        by.insert(0, "a memory that can grow".to_owned());
    } else if has(&wave_policy::Policy { prints_results: true, ..every }, false) {
        by.insert(0, "--invoke".to_owned());
    } else if has(&wave_policy::Policy { records: true, ..wave_policy::Policy::default() }, false) {
        by.insert(0, "--trace-file or --report-file".to_owned());
    } else if has(&connecting(), false) {
        by.insert(0, "connections".to_owned());
    } else if has(&wave_policy::Policy { dumps: true, ..wave_policy::Policy::default() }, false) {
        by.insert(0, "--coredump".to_owned());
    }
    let others = [(Role::Compiler, "the process that compiles"), (Role::Broker, "the process that makes connections")];
    let has_rule = |role| has(&wave_policy::Policy { role, ..wave_policy::Policy::default() }, false);
    by.extend(others.into_iter().filter(|(role, _)| has_rule(*role)).map(|(_, name)| name.to_owned()));
    if by.is_empty() { "the other resolver".to_owned() } else { format!("comes with {}", by.join(", ")) }
}
