"""Pictures, tables and pages made from what others computed; nothing is run here."""
