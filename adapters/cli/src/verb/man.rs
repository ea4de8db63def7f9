//! `stillwire man`

use crate::args::Cli;
use crate::exit::Fault;
use clap::CommandFactory;
use clap_mangen::Man;
use std::io::{self, Write};

/// Prints the manual page: the program's, then each verb's.
pub(crate) fn run() -> Result<(), Fault> {
    print(page)
}

/// Writes the manual page: the program, then a section for every verb.
pub fn page(out: &mut dyn Write) -> io::Result<()> {
    // Left out of the short help only; the manual would leave their descriptions out.
    let program = Cli::command().mut_args(|argument| argument.hide_short_help(false));
    let mut page = Vec::new();
    let man = Man::new(program.clone().disable_help_subcommand(true)).section("1");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_options_section(&mut page)?;
    man.render_extra_section(&mut page)?;
    // As they are before building: without the options that the program's section has.
    for verb in program.get_subcommands() {
        let name = verb.get_name();
        let title = format!(".SH \"STILLWIRE {}\"", name.to_uppercase());
        writeln!(page, "{title}")?;
        let man = Man::new(verb.clone().bin_name(format!("stillwire {name}")));
        let mut section = Vec::new();
        man.render_synopsis_section(&mut section)?;
        man.render_description_section(&mut section)?;
        man.render_options_section(&mut section)?;
        man.render_extra_section(&mut section)?;
        page.extend(
            String::from_utf8_lossy(&section)
                .replace(".SH ", ".SS ")
                .bytes(),
        );
    }
    out.write_all(
        String::from_utf8_lossy(&page)
            .replace(" EXTRA\n", " NOTES\n")
            .as_bytes(),
    )
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
