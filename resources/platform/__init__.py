"""The platform as the database shows it: workers, vitals, what is kept how long."""
