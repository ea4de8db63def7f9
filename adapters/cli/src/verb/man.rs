//! `stillwire man`

use crate::args::Cli;
use crate::exit::Fault;
use clap::CommandFactory;
use std::io::{self, Write};

/// Prints the manual page: the program's, then each verb's.
pub(crate) fn run() -> Result<(), Fault> {
    print(page)
}

/// Writes the manual page.
pub fn page(out: &mut dyn Write) -> io::Result<()> {
    let mut command = Cli::command();
    command.build();
    clap_mangen::Man::new(command.clone()).render(out)?;
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let man = clap_mangen::Man::new(verb.clone());
        man.render_name_section(out)?;
        man.render_synopsis_section(out)?;
        man.render_options_section(out)?;
        man.render_extra_section(out)?;
    }
    Ok(())
}

/// Writes to stdout; a reader that has gone away is no error.
pub(crate) fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Fault> {
    let mut out = io::stdout().lock();
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Fault::file("cannot write to stdout", &error))
        }
        _ => Ok(()),
    }
}
