//! What this runtime supports. Source: features.md and features-linux.md of the specification.

use serde_json::{Value, json};

/// The features, as JSON.
#[must_use]
pub fn features(version: &str) -> Value {
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": crate::state::VERSION,
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "mountOptions": crate::init::mount_options(),
        "linux": {
            "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "user", "uts"],
            // A program has none, whatever the configuration names.
            "capabilities": [],
            "cgroup": { "v1": true, "v2": true, "systemd": false, "systemdUser": false, "rdma": true },
            "seccomp": {
                "enabled": true,
                "actions": ["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_TRAP"],
                "operators": ["SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"],
                "archs": ["SCMP_ARCH_X86_64"],
            },
            "apparmor": { "enabled": false },
            "selinux": { "enabled": false },
            "intelRdt": { "enabled": false },
            "mountExtensions": { "idmap": { "enabled": false } },
        },
        "annotations": {
            "dev.wave.version": version,
            "dev.wave.sandbox": "strict",
            "dev.wave.program": "WebAssembly with WASI preview 1",
        },
        "potentiallyUnsafeConfigAnnotations": [crate::policy::LISTEN, crate::policy::POLICY],
    })
}
