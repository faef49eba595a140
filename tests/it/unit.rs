//! The systemd unit is one, where systemd can say so.

use std::path::Path;
use std::process::Command;

#[test]
fn the_unit_is_accepted_and_hardened() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/ojad.service");
    let text = std::fs::read_to_string(unit).expect("text");
    for line in [
        "Type=notify-reload",
        "WatchdogSec=",
        "ProtectSystem=strict",
        "StateDirectory=ojad",
        "NoNewPrivileges=yes",
        "UMask=077",
        "SystemCallFilter=@system-service",
    ] {
        assert!(text.contains(line), "{line}");
    }
    let place = tempfile::tempdir().expect("a directory");
    let copy = place.path().join("ojad.service");
    let text = text.replace("/usr/bin/ojad", env!("CARGO_BIN_EXE_ojad"));
    std::fs::write(&copy, text).expect("a file");
    let verified = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&copy)
        .output();
    let Ok(verified) = verified else {
        println!("systemd-analyze is not here: the unit was looked at only");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success(), "{said}");
    // Before version 253 systemd did not know notify-reload, and took it for the default.
    let mut complaints = said.lines().filter(|line| line.contains("ojad.service:"));
    assert!(
        complaints.all(|line| line.contains("notify-reload")),
        "{said}"
    );
}
