//! Lists of extensions that others block; docs/plugins/attachments.md names sources and dates.

use serde::Deserialize;

/// A list by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Preset {
    /// Level 1 of the Outlook E-mail Security Update (Microsoft KB 262631, 2001), which mail
    /// servers of that time copied.
    #[serde(alias = "seed")]
    Classic,
    /// What Outlook blocks now.
    Outlook,
    /// What Gmail blocks now.
    Gmail,
}

impl Preset {
    /// The extensions, in lower case and without dots.
    pub(super) fn extensions(self) -> impl Iterator<Item = &'static str> {
        let list = match self {
            Self::Classic => CLASSIC,
            Self::Outlook => OUTLOOK,
            Self::Gmail => GMAIL,
        };
        list.split_ascii_whitespace()
    }
}

const CLASSIC: &str = "ade adp bas bat chm cmd com cpl crt exe hlp hta inf ins isp js jse lnk mdb \
    mde msc msi msp mst pcd pif reg scr sct shb shs url vb vbe vbs wsc wsf wsh";

const OUTLOOK: &str = "ade adp app appcontent-ms application appref-ms appx asp aspx asx bas bat \
    bgi cab cdxml cer chm cmd cnt com cpl crt csh der diagcab exe fxp gadget grp hlp hpj hta htc \
    inf ins isp its jar jnlp js jse ksh library-ms lnk mad maf mag mam maq mar mas mat mau \
    mav maw mcf mda mdb mde mdt mdw mdz msc msh msh1 msh1xml msh2 msh2xml mshxml msi msp mst msu \
    ops osd pcd pif pl plg prf prg printerexport ps1 ps1xml ps2 ps2xml psc1 psc2 psd1 psdm1 pssc \
    pst py pyc pyo pyw pyz pyzw reg scf scr sct settingcontent-ms shb shs theme tmp udl url vb \
    vbe vbp vbs vhd vhdx vsmacros vsw webpnp website ws wsb wsc wsf wsh xbap xll xnk";

const GMAIL: &str = "ade adp apk appx appxbundle bat cab chm cmd com cpl diagcab diagcfg diagpkg \
    dll dmg ex ex_ exe hta img ins iso isp jar jnlp js jse lib lnk mde mjs msc msi msix \
    msixbundle msp mst nsh pif ps1 scr sct shb sys vb vbe vbs vhd vxd wsc wsf wsh xll";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_extensions() {
        for preset in [Preset::Classic, Preset::Outlook, Preset::Gmail] {
            assert!(preset.extensions().count() > 30);
            let plain =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
            assert!(preset.extensions().all(|one| one.chars().all(plain)));
            assert!(
                ["exe", "scr", "pif", "vbs"]
                    .iter()
                    .all(|one| preset.extensions().any(|e| e == *one))
            );
        }
    }
}
