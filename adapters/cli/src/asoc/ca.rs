//! `stillwire asoc ca`: an authority in a directory.

use super::node_id;
use crate::args::asoc::AsocCaVerb;
use crate::exit::{Code, Fault};
use crate::key;
use crate::run::Run;
use serde_json::json;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use stillwire_tls::{Authority, Credential};

pub(super) fn run(verb: &AsocCaVerb, run: &Run) -> Result<(), Fault> {
    match verb {
        AsocCaVerb::Init { dir, name } => init(dir, name, run),
        AsocCaVerb::Issue {
            dir,
            uuid,
            name,
            days,
        } => issue(dir, uuid, name, *days, run),
        AsocCaVerb::Revoke { dir, uuid } => revoke(dir, uuid, run),
    }
}

fn wrong(error: &stillwire_tls::Error) -> Fault {
    Fault::new(Code::Local, error.to_string())
}

fn init(dir: &Path, name: &str, run: &Run) -> Result<(), Fault> {
    let cannot = |error| Fault::file(&format!("cannot make {:?}", dir.display()), &error);
    fs::create_dir_all(dir).map_err(cannot)?;
    let (_, own) = Authority::generate(name).map_err(|error| wrong(&error))?;
    // The key first: a certificate without it would be of no use.
    create(&dir.join("ca.key"), &own.key)?;
    create(&dir.join("ca.pem"), &own.certificate)?;
    let path = dir.join("ca.pem").display().to_string();
    run.out.result(&json!({ "authority": path }), &path);
    Ok(())
}

fn load(dir: &Path) -> Result<Authority, Fault> {
    let path = dir.join("ca.pem");
    let certificate = fs::read_to_string(&path)
        .map_err(|error| Fault::file(&format!("cannot read {:?}", path.display()), &error))?;
    let key = key::from_file(&dir.join("ca.key"))?;
    Authority::load(&certificate, &key).map_err(|error| wrong(&error))
}

fn issue(dir: &Path, uuid: &str, names: &[String], days: u32, run: &Run) -> Result<(), Fault> {
    let node = node_id(Some(uuid))?;
    let Credential {
        certificate,
        key,
        serial,
    } = load(dir)?
        .issue(node, names, days)
        .map_err(|error| wrong(&error))?;
    let path = dir.join(format!("{node}.pem"));
    create(&path, &format!("{certificate}{key}"))?;
    append(
        &dir.join("issued"),
        &format!("{node} {}\n", &*key::hex(&serial)),
    )?;
    let path = path.display().to_string();
    run.out.result(&json!({ "certificate": path }), &path);
    Ok(())
}

fn revoke(dir: &Path, uuid: &str, run: &Run) -> Result<(), Fault> {
    let node = node_id(Some(uuid))?.to_string();
    let authority = load(dir)?;
    let issued = read_lines(&dir.join("issued"))?;
    let theirs = issued
        .iter()
        .filter_map(|line| line.split_once(' ').filter(|(id, _)| *id == node));
    let theirs: Vec<&str> = theirs.map(|(_, serial)| serial).collect();
    if theirs.is_empty() {
        let what = format!(
            "no certificate was issued for {node} from {:?}",
            dir.display()
        );
        return Err(Fault::new(Code::Usage, what));
    }
    let revoked_file = dir.join("revoked");
    let mut revoked = read_lines(&revoked_file)?;
    for serial in theirs {
        if !revoked.iter().any(|known| known == serial) {
            append(&revoked_file, &format!("{serial}\n"))?;
            revoked.push(serial.to_owned());
        }
    }
    let serials: Result<Vec<_>, _> = revoked.iter().map(|text| key::digits(text)).collect();
    let serials = serials.map_err(|_| {
        Fault::new(
            Code::Local,
            format!("{:?} is damaged", revoked_file.display()),
        )
    })?;
    let serials: Vec<_> = serials.iter().map(|serial| serial.to_vec()).collect();
    let list = authority
        .revoke(&serials, serials.len() as u64)
        .map_err(|error| wrong(&error))?;
    let path = dir.join("crl.pem");
    replace(dir, &path, &list)?;
    let path = path.display().to_string();
    run.out
        .result(&json!({ "list": path, "revoked": serials.len() }), &path);
    Ok(())
}

/// A new file that only its owner can read; one that is there is kept.
fn create(path: &Path, text: &str) -> Result<(), Fault> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Fault::file(&format!("cannot write {:?}", path.display()), &error))
}

fn append(path: &Path, line: &str) -> Result<(), Fault> {
    let written = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    written.map_err(|error| Fault::file(&format!("cannot write {:?}", path.display()), &error))
}

fn read_lines(path: &Path) -> Result<Vec<String>, Fault> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => {
            let mut action = String::from("cannot read ");
            let _ = write!(action, "{:?}", path.display());
            Err(Fault::file(&action, &error))
        }
    }
}

/// Puts a file in the place of another, whole or not at all.
fn replace(dir: &Path, path: &Path, text: &str) -> Result<(), Fault> {
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(text.as_bytes())?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| Fault::file(&format!("cannot write {:?}", path.display()), &error))
}
