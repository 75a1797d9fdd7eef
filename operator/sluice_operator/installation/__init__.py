"""What an install runs beside the operator, from its image: the Job that brings the CRD up to date, and the check."""
