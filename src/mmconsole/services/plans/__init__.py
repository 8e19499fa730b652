"""Plans that outlive the command that made them: as text, in signed files, applied later."""
